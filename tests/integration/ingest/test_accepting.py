"""An accepted event is in Kafka, canonical, under its key, before the answer comes."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import zstandard
from psycopg_pool import ConnectionPool
from starlette.testclient import TestClient

from shared_types import parse_envelope, partition_key
from signals.clients.kafka.publisher import Publisher
from signals.clients.postgres import Connection
from signals.domain.access.scopes import Scope
from signals.services.access.provisioning import IssuedKey, create_project, issue_key
from tests.integration.ingest.conftest import Stored, ingest_client
from tests.integration.ingest.shapes import body
from tests.support.events import TENANCY


def test_event_is_in_kafka_before_the_answer(client: TestClient, stored: Stored) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    answer = client.post("/v1/events", json=body(received_at="2001-01-01T00:00:00Z"))
    (record,) = stored()
    assert answer.status_code == 202
    event = parse_envelope(record.value)
    assert answer.json() == {"event_id": str(event.event_id), "status": "accepted"}
    assert event.to_json() == record.value
    assert record.key == partition_key(event).encode() == b"org_1|proj_1|TIMEOUT|/checkout"
    assert (event.org_id, event.project_id) == (TENANCY.org_id, TENANCY.project_id)
    assert event.occurred_at == datetime(2026, 1, 1, 10, tzinfo=UTC)
    assert before < event.received_at < datetime.now(UTC) + timedelta(seconds=1)


def test_x_api_key_header_is_accepted(anonymous: TestClient, key: IssuedKey) -> None:
    answer = anonymous.post("/v1/events", json=body(), headers={"X-API-Key": key.text})
    assert answer.status_code == 202


def test_a_given_event_id_is_kept(client: TestClient, stored: Stored) -> None:
    event_id = str(uuid4())
    answer = client.post("/v1/events", json=body(event_id=event_id))
    assert answer.json()["event_id"] == event_id
    assert parse_envelope(stored()[0].value).event_id == UUID(event_id)


def _lines(events: list[dict[str, object]]) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


@pytest.mark.parametrize(
    ("content_type", "content"),
    [
        ("application/json", json.dumps([body(), body()]).encode()),
        ("application/json; charset=utf-8", json.dumps({"events": [body(), body()]}).encode()),
        ("application/x-ndjson", _lines([body(), body()])),
        ("application/ndjson", b"\r\n\n" + _lines([body(), body()]).replace(b"\n", b"\r\n\r\n")),
        ("application/jsonl", _lines([body(), body()]).rstrip()),
    ],
    ids=["array", "events", "ndjson", "ndjson with blank lines", "jsonl without a last newline"],
)
def test_a_batch_is_accepted_in_every_notation(
    client: TestClient, stored: Stored, content_type: str, content: bytes
) -> None:
    answer = client.post("/v1/events/batch", content=content, headers={"Content-Type": content_type})
    assert answer.status_code == 202
    assert (answer.json()["accepted"], answer.json()["rejected"]) == (2, 0)
    told = [result["event_id"] for result in answer.json()["results"]]
    assert sorted(told) == sorted(str(parse_envelope(record.value).event_id) for record in stored())


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [("gzip", gzip.compress), ("zstd", zstandard.compress), ("GZIP", gzip.compress), ("identity", bytes)],
)
def test_bodies_may_be_compressed(client: TestClient, stored: Stored, encoding: str, compress: Any) -> None:
    content = compress(json.dumps([body()] * 300).encode())
    answer = client.post("/v1/events/batch", content=content, headers={"Content-Encoding": encoding})
    assert answer.status_code == 202
    assert len(stored()) == 300


def test_zstd_without_a_declared_size_is_read(client: TestClient, stored: Stored) -> None:
    compressor = zstandard.ZstdCompressor(write_content_size=False).compressobj()
    content = compressor.compress(_lines([body()] * 500)) + compressor.flush()
    headers = {"Content-Encoding": "zstd", "Content-Type": "application/x-ndjson"}
    assert client.post("/v1/events/batch", content=content, headers=headers).status_code == 202
    assert len(stored()) == 500


def test_good_events_of_a_batch_are_accepted_and_bad_ones_named(client: TestClient, stored: Stored) -> None:
    events = [
        body(),
        body(message=None),
        "no object",
        body(environment="moon"),
        body(project_id="proj_2"),
        body(org_id=TENANCY.org_id, project_id=TENANCY.project_id),
        body(occurred_at=(datetime.now(UTC) + timedelta(minutes=11)).isoformat()),
    ]
    answer = client.post("/v1/events/batch", json=events)
    assert answer.status_code == 207
    assert (answer.json()["accepted"], answer.json()["rejected"]) == (2, 5)
    results = answer.json()["results"]
    assert [(r["index"], r["status"], r.get("code"), r.get("field")) for r in results] == [
        (0, "accepted", None, None),
        (1, "rejected", "missing", "message"),
        (2, "rejected", "not_an_object", None),
        (3, "rejected", "unknown_value", "environment"),
        (4, "rejected", "tenancy_mismatch", "project_id"),
        (5, "accepted", None, None),
        (6, "rejected", "future_timestamp", "occurred_at"),
    ]
    assert all(r.get("message") for r in results if r["status"] == "rejected")
    assert len(stored()) == 2


def test_broken_line_fails_alone(client: TestClient, stored: Stored) -> None:
    content = _lines([body()]) + b'{"event_type": "error", \n' + _lines([body()])
    answer = client.post(
        "/v1/events/batch", content=content, headers={"Content-Type": "application/x-ndjson"}
    )
    assert answer.status_code == 207
    assert [r.get("code") for r in answer.json()["results"]] == [None, "malformed_json", None]
    assert len(stored()) == 2


def test_an_idempotency_key_repeats_the_ids_of_events_without_one(client: TestClient) -> None:
    def ids(idempotency_key: str) -> list[str]:
        events = [body(), body(), body(event_id="0190d4d2-8c1a-7cc0-8000-000000000001")]
        answer = client.post("/v1/events/batch", json=events, headers={"Idempotency-Key": idempotency_key})
        return [result["event_id"] for result in answer.json()["results"]]

    first = ids("a")
    assert len(set(first)) == 3
    assert first[2] == "0190d4d2-8c1a-7cc0-8000-000000000001"
    assert ids("a") == first
    assert set(ids("b")) & set(first) == {first[2]}


def test_idempotency_key_is_scoped_to_its_project(
    client: TestClient, pool: ConnectionPool[Connection]
) -> None:
    create_project(pool, "proj_2", org_id=TENANCY.org_id, name="Another")
    other = issue_key(pool, "proj_2", Scope.INGEST).text
    answers = [
        client.post("/v1/events", json=body(), headers={"Idempotency-Key": "a", "Authorization": key})
        for key in (client.headers["Authorization"], f"Bearer {other}")
    ]
    assert answers[0].json()["event_id"] != answers[1].json()["event_id"]


@pytest.mark.parametrize("blank", ["", "  "])
def test_blank_idempotency_key_is_ignored(client: TestClient, blank: str) -> None:
    answers = [
        client.post("/v1/events", json=body(), headers={"Idempotency-Key": blank}).json() for _ in range(2)
    ]
    assert answers[0]["event_id"] != answers[1]["event_id"]


@pytest.mark.parametrize("root_path", ["", "/v1/events"])
def test_whole_paths_work_with_and_without_an_announced_prefix(
    pool: ConnectionPool[Connection], publisher: Publisher, key: IssuedKey, root_path: str
) -> None:
    headers = {"Authorization": f"Bearer {key.text}"}
    with ingest_client(pool, publisher, root_path=root_path) as client:
        assert client.get("/v1/events/healthz").json() == {"status": "ok"}
        assert client.post("/v1/events", json=body(), headers=headers).status_code == 202
        assert client.post("/v1/events/batch", json=[body()], headers=headers).status_code == 202
        assert client.post("/v1/events/elsewhere", json=body(), headers=headers).status_code == 404
