"""Hostile bodies at the doors are refused soon and in little memory, and hold no other request up."""

import base64
import threading
import time
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import brotli
import orjson
import pytest
import zstandard
from psycopg_pool import ConnectionPool
from starlette.testclient import TestClient

from serve_apps.http import bodies
from serve_apps.ingest.protocols import reading, sentry
from serve_apps.ingest.protocols.reading import LARGE_BYTES, BodyReading
from signals.clients.postgres import Connection
from signals.domain.access.scopes import Scope
from signals.domain.events.from_sentry import read_envelope
from signals.services.access.provisioning import IssuedKey, KeyOptions, issue_key
from signals.services.events.ingestion import MAX_BATCH_EVENTS
from signals.services.ledger.audit import LedgerAudit
from tests.integration.ingest.conftest import Stored, not_events
from tests.support.recordings import recording
from tests.support.waiting import until

Pool = ConnectionPool[Connection]

SENTRY = "/v1/events/sentry/api/1/envelope/"
STORE = "/v1/events/sentry/api/1/store/"
ENVELOPE = b'{}\n{"type":"event"}\n{"message":"m","level":"error"}'
MIB = 1024 * 1024
LIMIT = 8 * MIB
MAX_KIB = 20 * 1024  # of memory, the issue's bound
WITHIN_S = 30.0

ENCODINGS: dict[str, Callable[[bytes], bytes]] = {
    "br": brotli.compress,
    "gzip": lambda body: zlib.compress(body, wbits=31),
    "x-gzip": lambda body: zlib.compress(body, wbits=31),
    "deflate": zlib.compress,
    "deflate raw": lambda body: zlib.compress(body, wbits=-15),
    "zstd": zstandard.compress,
}


def _packed(name: str, body: bytes) -> tuple[str, dict[str, str], bytes]:
    """Return path, headers and body of a request."""
    if name == "base64":
        return STORE, {}, base64.b64encode(zlib.compress(body))
    return SENTRY, {"Content-Encoding": name.split()[0]}, ENCODINGS[name](body)


def _status(client: TestClient, packed: tuple[str, dict[str, str], bytes]) -> int:
    path, headers, body = packed
    return client.post(path, headers=headers, content=body).status_code


def _peak_kib(action: Callable[[], object]) -> int:
    """Return by how much this process's memory grew at the most while `action` ran."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before_kib = _peak_memory_kib()
    action()
    return _peak_memory_kib() - before_kib


def _peak_memory_kib() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1])


def _cpu_s(action: Callable[[], object]) -> float:
    started = time.process_time()
    action()
    return time.process_time() - started


@pytest.mark.parametrize("name", [*ENCODINGS, "base64"])
def test_bomb_is_refused_in_little_memory_and_time(client: TestClient, name: str) -> None:
    """Client and server share this process; what is loaded once is no cost of a bomb."""
    plain = _packed(name, b'{"message":"m"}' if name == "base64" else ENVELOPE)
    bomb = _packed(name, b"{}\n" + b" " * (8 * LIMIT))
    full = _packed(
        name, b'{"m":"' + b" " * (LIMIT - 8) + b'"}' if name == "base64" else b"{}\n" + b" " * (LIMIT - 3)
    )
    assert len(bomb[2]) < MIB
    assert _status(client, plain) == 200
    peak_kib = _peak_kib(lambda: _status(client, bomb))
    assert _status(client, bomb) == 413
    assert peak_kib < MAX_KIB
    # A bomb costs what the largest acceptable body costs: the processor's pace does not matter.
    refused_s = min(_cpu_s(lambda: _status(client, bomb)) for _ in range(5))
    accepted_s = min(_cpu_s(lambda: _status(client, full)) for _ in range(5))
    plain_s = min(_cpu_s(lambda: _status(client, plain)) for _ in range(5))
    print(f"{refused_s * 1000:.1f} ms, {accepted_s * 1000:.1f} ms, {plain_s * 1000:.1f} ms, {peak_kib} KiB")
    assert refused_s < accepted_s + plain_s


def test_blanks_in_base64_cost_no_memory(client: TestClient) -> None:
    body = zlib.compress(b"eJ" + b" aa" * (2 * MIB), wbits=31)
    packed = (STORE, {"Content-Encoding": "gzip"}, body)
    assert _status(client, (STORE, {}, b'{"message":"m"}')) == 200
    peak_kib = _peak_kib(lambda: _status(client, packed))
    assert _status(client, packed) == 400
    assert peak_kib < MAX_KIB


def test_text_of_wide_characters_costs_little_memory_when_it_is_refused(client: TestClient) -> None:
    body = zlib.compress('{"message":"\U0001f600'.encode() + b"a" * (LIMIT - 32) + b'"', wbits=31)
    packed = (STORE, {"Content-Encoding": "gzip"}, body)
    assert _status(client, (STORE, {}, b'{"message":"m"}')) == 200
    peak_kib = _peak_kib(lambda: _status(client, packed))
    assert _status(client, packed) == 400
    assert peak_kib < MAX_KIB


def test_many_logs_in_a_large_item_are_hashed_once(client: TestClient) -> None:
    """The item is hashed once, not once a log."""
    padding = " " * (7 * MIB)

    def request(logs: int) -> tuple[str, dict[str, str], bytes]:
        items = [{"level": "info", "body": "m"}] * logs
        item = orjson.dumps({"items": items, "padding": padding})
        return _packed("gzip", b'{}\n{"type":"log"}\n' + item)

    few, many = request(1), request(1000)
    assert _status(client, few) == _status(client, many) == 200
    few_s = min(_cpu_s(lambda: _status(client, few)) for _ in range(3))
    many_s = min(_cpu_s(lambda: _status(client, many)) for _ in range(3))
    assert many_s < 3 * few_s


def test_large_body_holds_no_other_request_up(client: TestClient) -> None:
    begun, others_are_answered = threading.Event(), threading.Event()
    statuses: list[int] = []

    def slowly(*arguments: object) -> object:
        begun.set()
        assert others_are_answered.wait(WITHIN_S)
        return read_envelope(*arguments)  # type: ignore[arg-type]  # as they came

    body = ENVELOPE.replace(b'"m"', b'"' + b"m" * LARGE_BYTES + b'"')
    with patch.object(sentry, "read_envelope", slowly):
        large = threading.Thread(target=lambda: statuses.append(_status(client, (SENTRY, {}, body))))
        large.start()
        assert begun.wait(WITHIN_S)
        assert client.get("/v1/events/healthz").status_code == 200
        others_are_answered.set()
        large.join(WITHIN_S)
    assert statuses == [200]


def test_large_bodies_beyond_what_may_wait_are_refused(client: TestClient) -> None:
    body = ENVELOPE.replace(b'"m"', b'"' + b"m" * LARGE_BYTES + b'"')
    with patch.object(reading, "MAX_WAITING_BYTES", LARGE_BYTES):
        answer = client.post(SENTRY, content=body)
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert client.post(SENTRY, content=ENVELOPE).status_code == 200
    assert client.post(SENTRY, content=body).status_code == 200


def test_bodies_beyond_what_may_arrive_at_once_are_refused(client: TestClient) -> None:
    body = ENVELOPE.replace(b'"m"', b'"' + b"m" * MIB + b'"')
    with patch.object(bodies, "MAX_ARRIVING_BYTES", MIB):
        for _ in range(2):  # of a refused body nothing is counted any more
            answer = client.post(SENTRY, content=body)
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert client.post(SENTRY, content=ENVELOPE).status_code == 200
    assert client.post(SENTRY, content=body).status_code == 200


def test_recordings_are_read_alike_in_the_thread(client: TestClient) -> None:
    body = recording("py2-flask/000")
    headers = {"Content-Encoding": "br"}
    with patch.object(BodyReading.call, "__defaults__", (0,)):
        answer = client.post(SENTRY, content=body.wire, headers=headers)
    assert (answer.status_code, len(answer.json()["id"])) == (200, 32)


def test_request_of_many_records_is_stored_whole(client: TestClient, stored: Stored) -> None:
    """They go to Kafka in slices, so that other requests are answered between them."""
    many = 2 * MAX_BATCH_EVENTS + 1
    records = [{"severityNumber": 17, "body": {"stringValue": f"m {number}"}} for number in range(many)]
    body = orjson.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]})
    answer = client.post(
        "/v1/events/otlp/v1/logs", content=body, headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json()) == (200, {})
    ids = {orjson.loads(record.value)["event_id"] for record in stored()}
    assert len(ids) == many


def test_refusals_before_a_project_is_known_are_counted(
    anonymous: TestClient, pool: Pool, key: IssuedKey
) -> None:
    reader = issue_key(pool, key.project_id, Scope.READ).text
    assert anonymous.post(SENTRY, content=ENVELOPE).status_code == 401
    assert anonymous.post(f"{SENTRY}?sentry_key={reader}", content=ENVELOPE).status_code == 403
    two = {"X-Sentry-Auth": f"Sentry sentry_key={key.text}"}
    assert anonymous.post(f"{SENTRY}?sentry_key=other", content=ENVELOPE, headers=two).status_code == 403
    now = datetime.now(UTC)
    span = (now - timedelta(minutes=2), now + timedelta(minutes=2))
    rows = until(lambda: _lines(pool, span, at_least=3))
    assert rows == {("", "missing key"): 1, ("", "wrong scope"): 1, ("", "conflicting keys"): 1}


def _lines(pool: Pool, span: tuple[datetime, datetime], *, at_least: int) -> dict[tuple[str, str], int]:
    rows = {(row.project_id, row.reason): row.items for row in LedgerAudit(pool).not_events(None, *span)}
    return rows if len(rows) >= at_least else {}


def test_refused_batch_counts_nothing_that_comes_again(
    anonymous: TestClient, pool: Pool, key: IssuedKey
) -> None:
    options = KeyOptions(events_per_day=10)
    slow = issue_key(pool, key.project_id, Scope.PUBLIC, options=options).text
    calls = [{"type": "page"}, *({"type": "track", "event": "x", "messageId": str(n)} for n in range(50))]
    body = orjson.dumps({"batch": calls, "writeKey": slow})
    assert anonymous.post("/v1/events/segment/v1/batch", content=body).status_code == 429
    now = datetime.now(UTC)
    span = (now - timedelta(minutes=2), now + timedelta(minutes=2))
    found = until(lambda: not_events(pool, *span, at_least=1))
    assert {(row.kind, row.reason): row.items for row in found} == {
        ("refused", "answered 429 limit_exceeded"): 50
    }


def test_metrics_of_segments_browser_library_are_taken_without_a_key(anonymous: TestClient) -> None:
    body = b'{"series":[{"type":"Counter","metric":"analytics_js.invoke","value":1,"tags":{}}]}'
    answer = anonymous.post(
        "/v1/events/segment/v1/m", content=body, headers={"Origin": "https://shop.example"}
    )
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"
