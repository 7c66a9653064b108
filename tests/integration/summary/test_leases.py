"""The right to run and to finish a job: leases, fencing, rescue, and the shared rate limit."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from uuid import uuid4

import pytest
from pydantic import SecretStr

from signals.clients.postgres import open_pool, transaction
from signals.errors import DependencyUnavailable
from signals.services.summary import IncidentSummarizer, Policy
from signals.settings import ModelSettings, PostgresSettings
from signals.store import leases
from signals.store.summary import ai_jobs
from tests.integration.summary.cases import Pool, incident_with_job, job, jobs, make_due, outputs
from tests.integration.summary.conftest import MakeWorker
from tests.support.model_server import ModelServer, Reply
from tests.support.waiting import until

SHORT_LEASE = {"signals_ai_lease_s": 1.0}

Spawn = Callable[[ModelSettings], subprocess.Popen[str]]


@pytest.fixture
def spawn(database: PostgresSettings) -> Iterator[Spawn]:
    """Start workers in processes of their own; what still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(settings: ModelSettings) -> subprocess.Popen[str]:
        assert settings.gradient_api_key is not None
        environment = os.environ | {
            "DATABASE_URL": database.database_url.get_secret_value(),
            "GRADIENT_BASE_URL": settings.gradient_base_url,
            "GRADIENT_API_KEY": settings.gradient_api_key.get_secret_value(),
            "GRADIENT_MODEL": settings.gradient_model,
            "SIGNALS_AI_LEASE_S": str(settings.signals_ai_lease_s),
        }
        command = [sys.executable, "-m", "tests.integration.summary.worker"]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_job_of_a_killed_worker_is_completed_exactly_once(
    pool: Pool, settings: ModelSettings, make_worker: MakeWorker, spawn: Spawn, model_server: ModelServer
) -> None:
    short = settings.model_copy(update=SHORT_LEASE)
    incident_with_job(pool)
    model_server.script.append(Reply(hangs=True))
    victim = spawn(short)
    until(lambda: model_server.calls, within_s=180)
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait()
    assert job(pool).status == "running"
    rescuer = make_worker(short)
    outcome = until(rescuer.run_one)
    assert outcome is not None
    assert outcome.state == "succeeded"
    row = job(pool)
    assert (row.status, row.attempt_count) == ("succeeded", 1)
    assert row.last_error == "the worker was lost in mid-call"
    assert len(outputs(pool)) == 1
    assert len(model_server.calls) == 2


def test_late_worker_cannot_complete_a_rescued_job(
    pool: Pool, settings: ModelSettings, make_worker: MakeWorker, spawn: Spawn, model_server: ModelServer
) -> None:
    short = settings.model_copy(update=SHORT_LEASE)
    incident_with_job(pool)
    model_server.script.append(Reply(latency_s=5.0, changes={"title": "from the late worker"}))
    late = spawn(short)
    until(lambda: model_server.calls, within_s=180)
    os.kill(late.pid, signal.SIGSTOP)
    outcome = until(make_worker(short).run_one)
    assert outcome is not None
    assert outcome.state == "succeeded"
    os.kill(late.pid, signal.SIGCONT)
    told, _ = late.communicate(timeout=60)
    assert told.splitlines()[-1] == "fenced"
    (output,) = outputs(pool)
    assert output.content_json["title"] == "Checkout fails: its upstream times out"
    assert (job(pool).status, job(pool).attempt_count) == ("succeeded", 1)


def test_a_long_call_keeps_its_lease(
    pool: Pool, settings: ModelSettings, make_worker: MakeWorker, model_server: ModelServer
) -> None:
    short = settings.model_copy(update={"signals_ai_lease_s": 5.0, "signals_ai_timeout_s": 60})
    incident_with_job(pool)
    model_server.reply = Reply(latency_s=7.5)  # longer than a lease, with room for a late renewal
    busy, other = make_worker(short), make_worker(short)
    ended = 0
    rescued = []

    def both_work() -> bool:
        nonlocal ended
        ended += busy.step(0.05)
        rescued.append(other.run_one())
        return ended > 0

    assert busy.step(0.05) == 0
    until(both_work)
    assert rescued == [None] * len(rescued)
    assert (job(pool).status, job(pool).attempt_count) == ("succeeded", 0)
    assert len(model_server.calls) == 1


def test_a_job_that_loses_its_third_worker_fails_without_another_call(
    pool: Pool, worker: IncidentSummarizer, model_server: ModelServer
) -> None:
    incident_with_job(pool)
    with transaction(pool) as connection:
        connection.execute("UPDATE ai_jobs SET attempt_count = 2")
        assert leases.lease(connection, ai_jobs.QUEUE, lease=timedelta(seconds=-1)) is not None
    outcome = worker.run_one()
    assert outcome is not None
    assert outcome.state == "failed"
    row = job(pool)
    assert (row.status, row.attempt_count, row.leased_until) == ("failed", 3, None)
    assert [output.model for output in outputs(pool)] == ["builtin"]
    assert model_server.calls == []


def test_two_workers_never_run_one_job_twice(
    pool: Pool, settings: ModelSettings, make_worker: MakeWorker, model_server: ModelServer
) -> None:
    count = 24
    for number in range(count):
        incident_with_job(pool, number=number, events=2)
    model_server.reply = Reply(latency_s=0.05)
    workers = [make_worker(settings), make_worker(settings)]
    ended = [0, 0]

    def all_ended() -> bool:
        for index, worker in enumerate(workers):
            ended[index] += worker.step(0.02)
        return sum(ended) == count

    until(all_ended)
    assert {row.status for row in jobs(pool)} == {"succeeded"}
    assert len({output.incident_id for output in outputs(pool)}) == len(outputs(pool)) == count
    assert len(model_server.calls) == count
    assert min(ended) > 0


def test_several_jobs_run_at_once_but_no_more_than_allowed(
    pool: Pool, settings: ModelSettings, make_worker: MakeWorker, model_server: ModelServer
) -> None:
    for number in range(5):
        incident_with_job(pool, number=number, events=1)
    model_server.script.extend([Reply(latency_s=5.0)] * 2)  # until they were counted
    worker = make_worker(settings.model_copy(update={"signals_ai_concurrency": 3}))
    assert worker.lag() == 5
    assert worker.step(0.0) == 0
    assert [row.status for row in jobs(pool)].count("running") == 2  # the third is kept for other projects
    assert worker.lag() == 3
    until(lambda: worker.step(0.1) == 0 and worker.lag() == 0 and len(outputs(pool)) == 5)


def test_the_rate_limit_is_shared_and_taken_before_a_job_is_leased(
    pool: Pool, settings: ModelSettings, make_worker: MakeWorker, model_server: ModelServer
) -> None:
    one_a_minute = settings.model_copy(update={"signals_ai_requests_per_minute": 1})
    first, second = make_worker(one_a_minute), make_worker(one_a_minute)
    assert first.run_one() is None, "nothing to do spends no token"
    for number in range(2):
        incident_with_job(pool, number=number, events=1)
    assert first.run_one() is not None
    assert second.run_one() is None
    assert first.run_one() is None
    assert [(row.status, row.attempt_count) for row in jobs(pool)].count(("queued", 0)) == 1
    with transaction(pool) as connection:
        connection.execute("UPDATE pipeline.rate_limits SET updated_at = updated_at - interval '1 minute'")
    assert second.run_one() is not None
    assert len(model_server.calls) == 2


def test_incident_has_one_live_job(pool: Pool, worker: IncidentSummarizer) -> None:
    incident_id = incident_with_job(pool)

    def enqueue() -> bool:
        with transaction(pool) as connection:
            return ai_jobs.enqueue(connection, job_id=uuid4(), incident_id=incident_id)

    assert not enqueue()
    worker.run_one()
    assert enqueue()
    worker.run_one()
    assert [row.status for row in jobs(pool)] == ["succeeded", "succeeded"]


def _waits_for_a_row(pool: Pool) -> bool:
    with transaction(pool) as connection:
        found = connection.execute("SELECT FROM pg_locks WHERE NOT granted LIMIT 1")
        return found.rowcount == 1


def test_engine_that_holds_an_incident_never_waits_for_its_job(
    pool: Pool, worker: IncidentSummarizer
) -> None:
    incident_id = incident_with_job(pool)
    with transaction(pool) as connection:
        connection.execute("UPDATE incidents SET last_seen_at = now() WHERE id = %s", (incident_id,))
        assert worker.step(0.0) == 0
        until(lambda: _waits_for_a_row(pool))  # the worker, for the incident
        assert not ai_jobs.enqueue(connection, job_id=uuid4(), incident_id=incident_id)
    until(lambda: job(pool).status == "succeeded")


def test_absent_database_is_reported_as_unavailable(settings: ModelSettings) -> None:
    nowhere = PostgresSettings(database_url=SecretStr("postgresql://nobody@127.0.0.1:9/none"))
    with (
        open_pool(nowhere, size=1) as pool,
        IncidentSummarizer(pool, None, Policy.of(settings), chance=lambda: 0.0) as worker,
        pytest.raises(DependencyUnavailable),
    ):
        worker.run_one()


def test_a_failed_jobs_backoff_ends_by_the_databases_clock(pool: Pool, worker: IncidentSummarizer) -> None:
    incident_with_job(pool)
    with transaction(pool) as connection:
        connection.execute("UPDATE ai_jobs SET run_after = now() + interval '1 hour'")
    assert worker.run_one() is None
    make_due(pool)
    assert worker.run_one() is not None


def test_flood_of_one_project_delays_neither_a_severe_incident_nor_another_project(pool: Pool) -> None:
    for number in range(20):
        incident_with_job(pool, number=number)
    other = incident_with_job(pool, number=20)
    severe = incident_with_job(pool, number=21)
    with transaction(pool) as connection:
        connection.execute("UPDATE incidents SET project_id = 'proj_b' WHERE id = %s", [other])
        connection.execute("UPDATE incidents SET severity = 'critical' WHERE id = %s", [severe])
        taken = []
        for _ in range(3):
            held = leases.lease(connection, ai_jobs.QUEUE, lease=timedelta(minutes=1))
            assert held is not None
            taken.append(held.incident_id)
    # The severe one of the flooding project is under way, so the other project comes next.
    assert taken[:2] == [severe, other]
