"""Every refusal is a problem with a status, a code and a way out, and leaves nothing in Kafka."""

import gzip
import json
import time
from collections.abc import Iterator

import httpx2
import pytest
import zstandard
from psycopg_pool import ConnectionPool
from starlette.testclient import TestClient

from serve_apps.ingest.replica import ANSWER_WITHIN_S
from signals.clients.kafka.publisher import MESSAGE_TIMEOUT_MS, Publisher, open_publisher
from signals.clients.postgres import Connection
from signals.domain.access.scopes import Scope
from signals.local.processes.ports import free_port
from signals.services.access.provisioning import IssuedKey, issue_key, revoke_keys
from signals.settings import KafkaSettings
from tests.integration.ingest.conftest import ingest_client
from tests.integration.ingest.shapes import NDJSON, assert_problem, body
from tests.support.events import TENANCY
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("nothing_stored")


@pytest.mark.parametrize("path", ["/v1/events", "/v1/events/batch"])
@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'{"a": NaN}', b"[" * 100_000, b'"\\ud800"'])
def test_invalid_json_is_malformed(client: TestClient, path: str, content: bytes) -> None:
    assert_problem(client.post(path, content=content), 400, "malformed_json")


@pytest.mark.parametrize("content", [b"{}", b'{"events": {}}', b"1", b"null", b'"text"'])
def test_a_batch_is_an_array_of_events(client: TestClient, content: bytes) -> None:
    assert_problem(client.post("/v1/events/batch", content=content), 400, "not_a_batch")


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_body_that_contradicts_its_encoding_is_malformed(client: TestClient, encoding: str) -> None:
    compressed = gzip.compress(_two_lines()) if encoding == "gzip" else zstandard.compress(_two_lines())
    headers = {"Content-Encoding": encoding, **NDJSON}
    for content in (
        b"",
        b"plain",
        compressed[:-1],
        compressed[: len(compressed) // 2],
        compressed + b"x",
        compressed + compressed,
    ):
        answer = client.post("/v1/events/batch", content=content, headers=headers)
        assert_problem(answer, 400, f"malformed_{encoding}")


def test_truncated_zstd_body_is_refused_whole(client: TestClient) -> None:
    compressor = zstandard.ZstdCompressor().compressobj()
    head = compressor.compress(_two_lines()) + compressor.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    answer = client.post("/v1/events/batch", content=head, headers={"Content-Encoding": "zstd", **NDJSON})
    assert_problem(answer, 400, "malformed_zstd")


def _two_lines() -> bytes:
    return (json.dumps(body()) + "\n").encode() * 2


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        (None, "missing_key"),
        ("Bearer", "missing_key"),
        ("Basic dXNlcjpwYXNz", "missing_key"),
        ("Bearer nonsense", "unknown_key"),
        ("Bearer sig_ingest_" + "a" * 43, "unknown_key"),
    ],
)
def test_invalid_key_is_refused_before_the_body_is_read(
    anonymous: TestClient, authorization: str | None, code: str
) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    for path in ("/v1/events", "/v1/events/batch"):
        answer = anonymous.post(path, content=b"{", headers=headers)
        assert_problem(answer, 401, code)
        assert answer.headers["www-authenticate"] == "Bearer"


def test_read_key_cannot_write(
    anonymous: TestClient, key: IssuedKey, pool: ConnectionPool[Connection]
) -> None:
    read = issue_key(pool, TENANCY.project_id, Scope.READ).text
    answer = anonymous.post("/v1/events", json=body(), headers={"Authorization": f"Bearer {read}"})
    assert_problem(answer, 403, "wrong_scope")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/events"),
        ("PUT", "/v1/events"),
        ("DELETE", "/v1/events/batch"),
        ("POST", "/v1/events/healthz"),
    ],
)
def test_other_methods_are_not_allowed(client: TestClient, method: str, path: str) -> None:
    answer = client.request(method, path)
    assert_problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"]


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/v1/events", "text/plain"),
        ("/v1/events", "application/x-ndjson"),
        ("/v1/events/batch", "application/xml"),
        ("/v1/events/batch", "multipart/form-data; boundary=x"),
    ],
)
def test_other_content_types_are_unsupported(client: TestClient, path: str, content_type: str) -> None:
    answer = client.post(path, content=b"{}", headers={"Content-Type": content_type})
    assert_problem(answer, 415, "unsupported_content_type")


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "x"])
def test_other_encodings_are_unsupported(client: TestClient, encoding: str) -> None:
    answer = client.post("/v1/events", content=b"{}", headers={"Content-Encoding": encoding})
    assert_problem(answer, 415, "unsupported_encoding")


@pytest.mark.parametrize(
    ("event", "code", "field"),
    [
        (body(message=" "), "missing", "message"),
        (body(occurred_at="yesterday"), "invalid_timestamp", "occurred_at"),
        (body(event_type="unheard-of"), "unknown_value", "event_type"),
        (body(project_id="proj_2"), "tenancy_mismatch", "project_id"),
        (body(org_id="org_2"), "tenancy_mismatch", "org_id"),
        (body(surprise=1), "unknown_field", "surprise"),
        ([body()], "not_an_object", None),
    ],
)
def test_an_unacceptable_event_is_refused_with_its_field(
    client: TestClient, event: object, code: str, field: str | None
) -> None:
    assert assert_problem(client.post("/v1/events", json=event), 422, code)["field"] == field


def test_batch_of_bad_events_names_the_fault_of_each(client: TestClient) -> None:
    problem = assert_problem(client.post("/v1/events/batch", json=[{}, 1]), 422, "nothing_accepted")
    assert (problem["accepted"], problem["rejected"]) == (0, 2)
    assert [result["code"] for result in problem["results"]] == ["missing", "not_an_object"]


def test_unknown_path_is_not_found(client: TestClient) -> None:
    assert_problem(client.get("/v1/elsewhere"), 404, "not_found")


@pytest.fixture
def dead_publisher() -> Iterator[Publisher]:
    """A publisher whose Kafka is away."""
    away = KafkaSettings(kafka_brokers=f"127.0.0.1:{free_port()}")
    with open_publisher(away, polls_itself=False) as publisher:
        yield publisher


def test_absent_kafka_accepts_no_event(
    pool: ConnectionPool[Connection], dead_publisher: Publisher, key: IssuedKey
) -> None:
    headers = {"Authorization": f"Bearer {key.text}"}
    with ingest_client(pool, dead_publisher, answer_within_s=ANSWER_WITHIN_S) as client:
        started = time.monotonic()
        single = client.post("/v1/events", json=body(), headers=headers)
        assert time.monotonic() - started < MESSAGE_TIMEOUT_MS / 1000 + 3
        batch = client.post("/v1/events/batch", json=[body(), {}], headers=headers)
    assert_problem(single, 503, "unavailable")
    problem = assert_problem(batch, 503, "unavailable")
    assert (problem["accepted"], problem["rejected"]) == (0, 2)
    assert [(r["status"], r["code"]) for r in problem["results"]] == [
        ("unavailable", "kafka_unavailable"),
        ("rejected", "missing"),
    ]
    assert problem["results"][0]["event_id"]
    assert int(single.headers["retry-after"]) > 0
    assert int(batch.headers["retry-after"]) > 0


def test_a_revoked_key_is_refused_when_its_verdict_expires(
    pool: ConnectionPool[Connection], publisher: Publisher, key: IssuedKey
) -> None:
    headers = {"X-API-Key": key.text}
    with ingest_client(pool, publisher, cache_s=0.5) as client:
        assert client.post("/v1/events", json={}, headers=headers).status_code == 422
        assert revoke_keys(pool, key_id=key.key_id) == 1

        def answer() -> httpx2.Response:
            return client.post("/v1/events", json={}, headers=headers)

        until(lambda: answer().status_code == 401)
        assert_problem(answer(), 401, "revoked_key")


@pytest.mark.parametrize("path", ["/v1/events", "/v1/events/batch"])
def test_a_query_parameter_is_refused_by_name(client: TestClient, path: str) -> None:
    problem = assert_problem(client.post(f"{path}?dry_run=true", json=body()), 400, "invalid_query")
    assert problem["parameter"] == "dry_run"
