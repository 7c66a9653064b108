"""Core-api's health, readiness, documentation, and answers on unknown routes."""

import asyncio
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from psycopg_pool import ConnectionPool
from starlette.testclient import TestClient

from signals.clients.opensearch.connection import Client, check_reachable
from signals.clients.postgres import Connection, transaction
from signals.errors import DependencyUnavailable
from signals.periodic import repeated_in_task
from signals.services.access.authentication import KeyAuthenticator
from signals.services.incidents import views
from signals.services.ledger.audit import LedgerAudit
from signals.services.operations.partition_lag import PartitionLag
from signals.services.operations.readiness import REUSE_S, ReadinessCheck
from signals.store.operations.workers import ConsumerState, Heartbeat, beat
from tests.integration.core.conftest import Keys, core_client
from tests.support.waiting import until

READINESS = ReadinessCheck.__module__


def report(pool: ConnectionPool[Connection], name: str, kind: str, state: ConsumerState = "running") -> None:
    """Write the heartbeat that a consumer would; it stays fresh on a slow machine, too."""
    now = datetime.now(UTC)
    heartbeat = Heartbeat(
        name=name,
        kind=kind,
        state=state,
        detail="",
        partitions=[0],
        lag=0,
        started_at=now,
        last_poll_at=now,
        last_batch_at=None,
        handled=0,
        pid=1,
        node="here",
    )
    with transaction(pool) as connection:
        beat(connection, heartbeat)
        connection.execute("UPDATE pipeline.workers SET heartbeat_at = now() + interval '1 h'")


def test_product_is_ready_when_all_servers_and_expected_actors_are(
    pool: ConnectionPool[Connection], opensearch: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{READINESS}.CHECK_S", 60.0)  # however slow the machine is
    report(pool, "indexer-0", "indexer")
    with core_client(
        pool,
        opensearch,
        servers={"opensearch": lambda: check_reachable(opensearch, 30.0)},
        expected=["indexer-0"],
    ) as client:
        answer = client.get("/readyz")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["ready"] is True
    assert [(d["name"], d["state"]) for d in body["dependencies"]] == [
        ("postgresql", "ok"),
        ("opensearch", "ok"),
    ]
    assert all(d["latency_ms"] > 0 for d in body["dependencies"])
    assert body["actors"] == [{"name": "indexer-0", "state": "running", "lag": 0, "restarts": 0}]


def test_not_ready_names_each_actor_that_is_missing_stale_or_backing_off(
    pool: ConnectionPool[Connection], opensearch: Client
) -> None:
    report(pool, "incident-engine-0", "incident-engine", "backing-off")
    report(pool, "indexer-0", "indexer")
    report(pool, "indexer-1", "indexer")
    with pool.connection() as connection:
        connection.execute(
            "UPDATE pipeline.workers SET heartbeat_at = now() - interval '16 s' WHERE name = 'indexer-1'"
        )
    expected = ["incident-engine-0", "indexer-0", "indexer-1", "ai-worker-0"]
    with core_client(pool, opensearch, expected=expected) as client:
        answer = client.get("/readyz")
    assert answer.status_code == 503
    states = {actor["name"]: actor["state"] for actor in answer.json()["actors"]}
    assert list(states) == expected
    assert list(states.values()) == ["backing-off", "running", "stale", "missing"]


def test_readiness_bounds_its_wait_and_hides_addresses(
    pool: ConnectionPool[Connection], opensearch: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{READINESS}.CHECK_S", 6.0)  # a slow PostgreSQL answers meanwhile
    hanging = threading.Event()

    def refuse() -> None:
        raise DependencyUnavailable("Kafka", "broker secret-host:9092 refused")

    def hang() -> None:
        hanging.wait(60)

    with core_client(pool, opensearch, servers={"kafka": refuse, "opensearch": hang}) as client:
        answer = client.get("/readyz")
    hanging.set()
    assert answer.elapsed.total_seconds() < 36
    assert answer.status_code == 503
    states = {d["name"]: d["state"] for d in answer.json()["dependencies"]}
    assert states == {"postgresql": "ok", "kafka": "unavailable", "opensearch": "timeout"}
    assert "secret-host" not in answer.text


def test_health_and_documentation_need_no_key(anonymous: TestClient) -> None:
    assert anonymous.get("/healthz").json() == {"status": "ok"}
    assert anonymous.get("/").json()["documentation"] == "/docs"
    assert anonymous.get("/docs").status_code == 200


def test_the_document_covers_every_route_of_both_apis(anonymous: TestClient) -> None:
    document = anonymous.get("/openapi.json").json()
    described = {(method, path) for path, operations in document["paths"].items() for method in operations}
    # The tables of tests/system/security/test_isolation.py name every route.
    assert described >= {
        ("get", "/"),
        ("get", "/healthz"),
        ("get", "/readyz"),
        ("get", "/v1/incidents"),
        ("get", "/v1/incidents/{incident_id}"),
        ("patch", "/v1/incidents/{incident_id}"),
        ("get", "/v1/outages"),
        ("get", "/v1/outages/{outage_id}"),
        ("patch", "/v1/outages/{outage_id}"),
        ("get", "/v1/search/events"),
        ("get", "/v1/deploys"),
        ("get", "/v1/deploys/{deploy_id}"),
        ("get", "/v1/doors"),
        ("patch", "/v1/doors"),
        ("get", "/v1/ledger"),
        ("post", "/v1/events"),
        ("post", "/v1/events/batch"),
        ("get", "/v1/events/healthz"),
    }
    for path, operations in document["paths"].items():
        for operation in operations.values():
            wants_key = path.startswith("/v1/") and not path.endswith("healthz")
            assert ("401" in operation["responses"]) == wants_key
            assert bool(operation.get("security")) == wants_key
    assert set(document["paths"]["/v1/events/batch"]["post"]["responses"]) == {
        *("202", "207", "400", "401", "403", "408", "413", "415", "422", "429", "503")
    }


def test_every_reference_of_the_document_resolves(anonymous: TestClient) -> None:
    document = anonymous.get("/openapi.json").json()
    references: set[str] = set()

    def walk(node: object) -> None:
        if isinstance(node, dict):
            reference = node.get("$ref")
            if isinstance(reference, str):
                references.add(reference)
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(document)
    schemas = document["components"]["schemas"]
    assert references
    assert {reference.removeprefix("#/components/schemas/") for reference in references} <= set(schemas)
    assert "HTTPValidationError" not in schemas


def test_unknown_route_answers_problem_json(anonymous: TestClient) -> None:
    for method, path, status in (
        ("GET", "/nowhere", 404),
        ("POST", "/v1/incidents", 405),
        ("GET", "/v1/incidents/", 404),
    ):
        answer = anonymous.request(method, path)
        assert (answer.status_code, answer.json()["status"]) == (status, status)
        assert answer.headers["content-type"] == "application/problem+json"
    assert "GET" in anonymous.post("/v1/incidents").headers["allow"]


def test_crash_hides_its_cause(
    anonymous: TestClient, pool: ConnectionPool[Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(_: ReadinessCheck) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(ReadinessCheck, "check", crash)
    answer = anonymous.get("/readyz")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "secret" not in answer.text


def test_hanging_check_serves_the_last_answer_meanwhile(
    pool: ConnectionPool[Connection], opensearch: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{READINESS}.CHECK_S", 60.0)
    hanging, asked = threading.Event(), threading.Event()

    def hang_when_asked_again() -> None:
        if asked.is_set():
            hanging.wait(120)
        asked.set()

    readiness = ReadinessCheck(pool, {"kafka": hang_when_asked_again}, LedgerAudit(pool).audit, tuple)
    assert readiness.check().ready
    until(lambda: time.monotonic() - answered_at(readiness) > REUSE_S)
    waiting = threading.Thread(target=readiness.check)
    waiting.start()
    until(readiness._lock.locked)
    started = time.monotonic()
    assert readiness.check().ready
    assert time.monotonic() - started < 30  # half of what the other one waits
    hanging.set()
    waiting.join()
    readiness.close()


def test_stage_stands_still_until_a_question_says_otherwise(
    pool: ConnectionPool[Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{READINESS}.READING_S", 0.0)
    monkeypatch.setattr(f"{READINESS}.REUSE_S", 0.0)
    standing = PartitionLag(
        stage="indexer", partition=3, next_offset=0, begin=0, end=7, moved_at=None, progress="standing"
    )
    answers: list[PartitionLag | DependencyUnavailable] = [
        standing,
        DependencyUnavailable("Kafka", "it did not answer in time"),
        replace(standing, next_offset=7, progress="well"),
    ]

    def lags() -> list[PartitionLag]:
        answer = answers.pop(0)
        if isinstance(answer, DependencyUnavailable):
            raise answer
        return [answer]

    readiness = ReadinessCheck(pool, {}, LedgerAudit(pool).audit, lags)
    assert [readiness.check().ready for _ in range(3)] == [False, False, True]
    readiness.close()


def answered_at(readiness: ReadinessCheck) -> float:
    """When the kept answer was made."""
    assert readiness._answer is not None
    return readiness._answer[0]


def test_use_of_a_key_is_written_while_an_api_runs(keys: Keys, pool: ConnectionPool[Connection]) -> None:
    authenticator = KeyAuthenticator(pool)
    authenticator.check(keys.read)

    def used() -> int:
        with pool.connection() as connection:
            row = connection.execute("SELECT count(last_used_at) FROM project_api_keys").fetchone()
        assert row is not None
        return int(str(row[0]))

    async def live() -> int:
        async with repeated_in_task(authenticator.flush_last_used, every_s=0.05, name="last use"):
            return await asyncio.to_thread(until, used)

    assert asyncio.run(live()) == 1


def test_a_statement_that_takes_too_long_frees_its_connection(
    reader: TestClient, pool: ConnectionPool[Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as impatient, pool.connection() as blocker:
        impatient.setattr(views, "REQUEST_TIMEOUT_MS", 300)
        blocker.execute("LOCK TABLE incidents IN ACCESS EXCLUSIVE MODE")
        answer = reader.get("/v1/incidents")
        blocker.rollback()
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert reader.get("/v1/incidents").status_code == 200
