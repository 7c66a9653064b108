"""The acceptance checklist (docs/requirements.md, R38 to R41), on the running product."""

import json
import os
import signal
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from signals.clients.opensearch import EVENTS_INDEX
from signals.clients.opensearch.connection import open_client
from signals.settings import OpenSearchSettings
from tests.support.events import event
from tests.support.model_server import Reply
from tests.support.product import LEASE_S, Product
from tests.support.waiting import until

SPIKE = "UPSTREAM_TIMEOUT|/checkout|prod"
WITHIN_S: Final = 120  # for a start, a tick or a refresh: seconds on a quiet machine
NOTE_WAITS: Final = """
CREATE TABLE public.job_waits (incident_id uuid, attempt int, seconds float8);
CREATE FUNCTION public.note_job_wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO public.job_waits
    VALUES (NEW.incident_id, NEW.attempt_count, extract(epoch FROM NEW.run_after - NEW.updated_at));
    RETURN NULL;
END $$;
CREATE TRIGGER note_job_wait AFTER UPDATE ON ai_jobs FOR EACH ROW
WHEN (NEW.status = 'queued' AND NEW.attempt_count > OLD.attempt_count)
EXECUTE FUNCTION public.note_job_wait();
"""
"""The database notes each wait of a job; to ask again and again would miss the short ones."""
FORGET_WAITS: Final = """
DROP TRIGGER note_job_wait ON ai_jobs;
DROP FUNCTION public.note_job_wait();
DROP TABLE public.job_waits;
"""


def spike(product: Product, code: str, count: int = 40) -> Any:
    """Send errors of one new fingerprint, and return their incident once open."""
    now = datetime.now(UTC)
    events = [
        json.loads(event("error", now - timedelta(seconds=n), error_code=code, route="/e2e").to_json())
        for n in range(count)
    ]
    for body in events:
        del body["org_id"], body["project_id"]
    product.send(events)
    return until(lambda: incident_of(product, f"{code}|/e2e|prod"), within_s=WITHIN_S)


def incident_of(product: Product, fingerprint: str) -> Any:
    incidents = product.get("/v1/incidents?limit=100")["incidents"]
    found = [row for row in incidents if row["fingerprint"] == fingerprint and row["status"] == "open"]
    assert len(found) <= 1, found
    return found[0] if found else None


def jobs_of(product: Product, incident_id: str) -> list[tuple[Any, ...]]:
    return product.rows(
        "SELECT status, attempt_count, run_after, updated_at, last_error FROM ai_jobs"
        " WHERE incident_id = %s ORDER BY created_at",
        incident_id,
    )


def test_error_spike_becomes_documents_one_incident_and_a_summary(product: Product) -> None:
    started = datetime.now(UTC)
    report = product.loadgen("spike_errors", "--rate=100", "--duration=15s", "--seed=38")
    since = started.isoformat().replace("+00:00", "Z")
    found = f"/v1/search/events?since={since}"
    until(lambda: product.get(found)["total"]["value"] >= report["accepted"], within_s=WITHIN_S)
    incident = until(lambda: incident_of(product, SPIKE), within_s=WITHIN_S)
    detail = until(lambda: summarized(product, incident["id"]), within_s=WITHIN_S)
    assert [job["status"] for job in detail["ai_jobs"]].count("succeeded") >= 1
    assert detail["summary"]["model"] == "test-model"
    assert detail["summary"]["content"]["verification"]["verified"] > 0
    assert detail["incident"]["title"] == "Checkout fails: its upstream times out"
    assert detail["why"]["rule"] == "error-spike"
    assert [row["fingerprint"] for row in product.get("/v1/incidents?limit=100")["incidents"]] == [SPIKE]


def summarized(product: Product, incident_id: str) -> Any:
    """Return the incident once no job may better its summary: each begins with the built-in one."""
    detail = product.get(f"/v1/incidents/{incident_id}")
    ended = [job["status"] in ("succeeded", "failed") for job in detail["ai_jobs"]]
    if not (detail["summary"] and ended and all(ended)):
        return None
    return product.get(f"/v1/incidents/{incident_id}")  # the first answer may be of both sides of a change


def test_killed_ai_worker_leaves_exactly_one_output_and_one_completion(product: Product) -> None:
    product.model.script.append(Reply(hangs=True))
    incident = spike(product, "KILLED")
    until(lambda: jobs_of(product, incident["id"])[0][0] == "running", within_s=WITHIN_S)
    until(lambda: not product.model.script, within_s=WITHIN_S)
    killed = product.actor_pid("ai-worker")
    os.kill(killed, signal.SIGKILL)
    until(lambda: jobs_of(product, incident["id"])[0][0] == "succeeded", within_s=4 * LEASE_S + WITHIN_S)
    # It may finish the job before it first reports its process.
    until(lambda: product.actor_pid("ai-worker") != killed, within_s=WITHIN_S)
    assert jobs_of(product, incident["id"])[0][1] == 1  # the rescue counted as an attempt
    outputs = product.rows(
        "SELECT model FROM ai_outputs WHERE incident_id = %s ORDER BY created_at", incident["id"]
    )
    assert outputs[-1] == ("test-model",)  # after the built-in versions: at once, and with findings
    assert outputs[:-1] in ([("builtin",)], [("builtin",)] * 2)


def test_model_errors_are_retried_with_backoff_and_fail_after_three_attempts(product: Product) -> None:
    with product.database() as connection:
        connection.execute(NOTE_WAITS)
    product.model.reply = Reply(status=500)
    try:
        incident = spike(product, "MODEL_DOWN")
        until(lambda: jobs_of(product, incident["id"])[0][0] == "failed", within_s=2 * WITHIN_S)
        noted = product.rows(
            "SELECT attempt, seconds FROM public.job_waits WHERE incident_id = %s", incident["id"]
        )
    finally:
        product.model.reply = Reply()
        with product.database() as connection:
            connection.execute(FORGET_WAITS)
    waits = dict(noted)
    (status, attempts, *_, error), *_ = jobs_of(product, incident["id"])
    assert (status, attempts) == ("failed", 3)
    assert "500" in error
    assert sorted(waits) == [1, 2]
    assert 0 < waits[1] <= 5
    assert 0 < waits[2] <= 10
    assert summarized(product, incident["id"])["summary"]["model"] == "builtin"


def test_missing_signups_open_exactly_one_incident_by_the_tick(product: Product) -> None:
    before = {row["id"] for row in product.get("/v1/incidents?limit=100")["incidents"]}
    product.loadgen("drop_signups", "--rate=50", "--duration=5s", "--seed=38")
    until(lambda: incident_of(product, "signup|prod"), within_s=WITHIN_S)
    after = product.get("/v1/incidents?limit=100")["incidents"]
    assert [row["fingerprint"] for row in after if row["id"] not in before] == ["signup|prod"]


def test_normal_run_opens_nothing(product: Product) -> None:
    before = len(product.get("/v1/incidents?limit=100")["incidents"])
    product.loadgen("normal", "--rate=200", "--duration=10s", "--seed=38")
    until(lambda: product.unsettled() == 0, within_s=WITHIN_S)
    assert len(product.get("/v1/incidents?limit=100")["incidents"]) == before


@pytest.mark.parametrize("kind", ["incident-engine", "indexer"])
def test_killed_consumer_restarts_and_nothing_is_lost_or_counted_twice(product: Product, kind: str) -> None:
    killed = product.actor_pid(kind)
    os.kill(killed, signal.SIGKILL)
    incident = spike(product, f"AFTER_{kind.upper()}", count=50)
    until(lambda: product.actor_pid(kind) != killed, within_s=WITHIN_S)
    until(lambda: set(product.readiness().values()) == {"ok", "running"}, within_s=WITHIN_S)
    query = f"/v1/search/events?filters=error_code:AFTER_{kind.upper()}"
    until(lambda: product.get(query)["total"]["value"] == 50, within_s=WITHIN_S)
    until(lambda: product.unsettled() == 0, within_s=WITHIN_S)
    counted = product.rows(
        "SELECT sum(value) FROM metrics_buckets WHERE fingerprint = %s", incident["fingerprint"]
    )
    assert counted == [(50,)]


def test_readiness_names_every_dependency_and_actor(product: Product) -> None:
    until(lambda: set(product.readiness().values()) == {"ok", "running"}, within_s=WITHIN_S)
    assert set(product.readiness()) == {
        "postgresql",
        "kafka",
        "opensearch",
        "incident-engine-0",
        "indexer-0",
        "ai-worker-0",
        "notifier-0",
    }


def test_every_process_belongs_to_the_node_and_ends_with_it(product: Product) -> None:
    wanted = {"incident-engine", "indexer", "ai-worker", "core replica", "ingest replica"}
    until(lambda: wanted <= set(product.processes().values()), within_s=WITHIN_S)


@pytest.mark.acceptance
@pytest.mark.timeout(1200)
def test_ten_minutes_of_an_error_spike(product: Product) -> None:
    started = datetime.now(UTC)
    report = product.loadgen("spike_errors", "--rate=100", "--duration=10m")
    until(lambda: documents_since(started) == report["accepted"], within_s=60)
    ((counted,),) = product.rows(
        "SELECT sum(value) FROM metrics_buckets WHERE fingerprint = %s AND bucket_start >= %s",
        SPIKE,
        started.replace(second=0, microsecond=0),
    )
    incident = until(lambda: incident_of(product, SPIKE))
    detail = until(lambda: summarized(product, incident["id"]))
    print(f"{report['accepted']} accepted and indexed, {counted} counted for {SPIKE}, {incident['severity']}")
    assert report["lost"] == 0
    assert {job["status"] for job in detail["ai_jobs"]} == {"succeeded"}


def documents_since(start: datetime) -> int:
    """Count documents past the search API's capped totals, in OpenSearch itself."""
    query = {"query": {"range": {"occurred_at": {"gte": start.isoformat()}}}}
    with open_client(OpenSearchSettings.from_env()) as client:
        client.indices.refresh(index=EVENTS_INDEX)
        return int(client.count(index=EVENTS_INDEX, body=query)["count"])
