"""The checker itself: it passes a faultless run and finds planted losses and duplicates."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from signals.clients.opensearch import EVENTS_INDEX
from signals.clients.opensearch.connection import Client
from tests.system.faults.consumer_set import consumer_set, environment_of
from tests.system.faults.table import FaultRow
from tests.system.faults.traffic import trial_event
from tests.system.faults.trial import Stage, Trial, trial
from tests.system.faults.verdict import Verdict

pytestmark = [pytest.mark.faults_quick, pytest.mark.timeout(600)]


@pytest.fixture
def finished(pipeline_stage: Stage) -> Iterator[Trial]:
    """A trial that is over and clean, on consumers that still run."""
    environment = environment_of(pipeline_stage.servers)
    with consumer_set(environment, kinds=("incident-engine", "indexer")):
        with trial(pipeline_stage, FaultRow(fault="none"), seed=1, events_per_s=200) as running:
            running.recovered()
            assert running.recorder.deliver(running.traffic.burst(40, ["SPIKE"]))  # opens an incident
        assert running.judge_now().is_clean
        assert running.row.acknowledged > 40
        yield running


def document_of(running: Trial) -> str:
    return str(next(e.event_id for e in running.sent.known.values() if e.series))


def execute(running: Trial, statement: str, *parameters: object) -> None:
    with running.stage.servers.database() as connection:
        done = connection.execute(statement.encode(), parameters)
        assert done.rowcount == 1


def test_planted_loss_is_found(finished: Trial, opensearch: Client) -> None:
    opensearch.delete(index=EVENTS_INDEX, id=document_of(finished))
    assert (finished.judge_now().lost, finished.judge_now().double) == (1, 0)
    execute(
        finished,
        "UPDATE metrics_buckets SET value = value - 1 WHERE id = (SELECT min(id) FROM metrics_buckets)",
    )
    assert (finished.judge_now().lost, finished.judge_now().double) == (2, 0)
    finished.sent.note([never := trial_event("signup", uuid4(), datetime.now(UTC))])
    finished.sent.acknowledge([never.event_id])
    verdict = finished.judge_now()
    assert (verdict.lost, verdict.double) == (5, 0)  # from log, index and bucket
    assert "acknowledged but not in the log" in "\n".join(verdict.sentences)


def test_planted_duplicate_is_found(finished: Trial, opensearch: Client) -> None:
    source = opensearch.get(index=EVENTS_INDEX, id=document_of(finished))["_source"]
    keyword = {"mappings": {"properties": {"project_id": {"type": "keyword"}}}}
    opensearch.indices.create(index="another", body=keyword)
    opensearch.index(index="another", id="another", body=source)
    try:
        assert (finished.judge_now().lost, finished.judge_now().double) == (0, 1)
    finally:
        opensearch.indices.delete(index="another")
    execute(
        finished,
        "UPDATE metrics_buckets SET value = value + 1 WHERE id = (SELECT min(id) FROM metrics_buckets)",
    )
    assert (finished.judge_now().lost, finished.judge_now().double) == (0, 1)


def test_second_open_incident_and_a_second_output_are_found(finished: Trial) -> None:
    with finished.stage.servers.database() as connection:
        (incident_id,) = one(connection, "SELECT id FROM incidents ORDER BY opened_at LIMIT 1")
        (job_id,) = one(connection, "SELECT id FROM ai_jobs WHERE incident_id = %s", incident_id)
        connection.execute("DROP INDEX incidents_one_open")
        connection.execute(
            "INSERT INTO incidents SELECT %s, org_id, project_id, environment, fingerprint, status, severity,"
            " title, opened_at, last_seen_at FROM incidents WHERE id = %s",
            (uuid4(), incident_id),
        )
    assert finished.judge_now().double == 1
    assert verdict_with_jobs(finished).unsettled > 0
    execute(finished, "UPDATE ai_jobs SET status = 'succeeded' WHERE id = %s", job_id)
    before = verdict_with_jobs(finished)
    assert before.lost == 1  # finished without an output
    execute(
        finished,
        "INSERT INTO ai_outputs (id, incident_id, output_type) VALUES (%s, %s, 'summary')",
        uuid4(),
        incident_id,
    )
    assert verdict_with_jobs(finished).double == before.double + 1


def one(connection: psycopg.Connection[Any], query: str, *parameters: object) -> tuple[Any, ...]:
    row = connection.execute(query.encode(), parameters).fetchone()
    assert row is not None
    return tuple(row)


def verdict_with_jobs(running: Trial) -> Verdict:
    running.stage = Stage(servers=running.stage.servers, project=running.stage.project, summarizes=True)
    return running.judge_now()


def test_refused_event_and_a_ledger_that_does_not_balance_are_found(finished: Trial) -> None:
    finished.sent.refuse("401: wrong key")
    assert not finished.judge_now().is_clean
    finished.sent.refusals.clear()
    execute(
        finished,
        "UPDATE pipeline.ledger SET events = events - 1 WHERE ctid ="
        " (SELECT min(ctid) FROM pipeline.ledger WHERE stage = 'indexer')",
    )
    (sentence,) = finished.judge_now().sentences
    assert sentence.startswith("the ledger of indexer: ")
