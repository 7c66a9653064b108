"""Clients of other products send to real servers: every recording, every place of a key, every refusal."""

import base64
import hashlib
import hmac
import json
import re
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import brotli
import orjson
import pytest
import zstandard
from google.rpc.status_pb2 import Status
from httpx2 import Response
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from psycopg_pool import ConnectionPool
from starlette.testclient import TestClient

from signals.clients.kafka.publisher import Publisher
from signals.clients.postgres import Connection
from signals.services.access.provisioning import IssuedKey
from signals.services.events.project_doors import DoorsChange, DoorSettingsEditor
from signals.services.ledger.audit import LedgerAudit
from tests.integration.ingest.conftest import Stored, ingest_client, not_events
from tests.support.recordings import Recording, recording, recordings
from tests.support.waiting import until

SENTRY = "/v1/events/sentry/api/1/envelope/"
ENVELOPE = (
    b'{}\n{"type":"event"}\n{"message":"m","level":"error","event_id":"0123456789abcdef0123456789abcdef"}'
)
RECORDED_KEYS = re.compile(
    rb"sig_ingest_TEST|0123456789abcdef0123456789abcdef|abcdef0123456789abcdef0123456789|abc\b"
)
SET_BY_CLIENT = ("host", "content-length", "transfer-encoding", "connection", "accept-encoding")
FOREIGN = [one for one in recordings() if one.door]


def _send(client: TestClient, one: Recording, key: str) -> Response:
    """Replay a recording with a key that exists, wherever the recorded one stood."""
    headers = {name: value for name, value in one.headers.items() if name not in SET_BY_CLIENT}
    body = one.wire
    if one.door == "segment":
        headers["authorization"] = "Basic " + base64.b64encode(f"{key}:".encode()).decode()
        body = _encoded(RECORDED_KEYS.sub(key.encode(), one.body), headers.get("content-encoding"))
    elif "x-api-key" in headers:
        headers["x-api-key"] = key
    elif one.door == "otlp":
        headers["authorization"] = f"Bearer {key}"
    elif "x-sentry-auth" in headers:
        headers["x-sentry-auth"] = re.sub(r"sentry_key=\w+", f"sentry_key={key}", headers["x-sentry-auth"])
    elif one.path == "/tunnel":
        header, _, rest = one.body.partition(b"\n")
        body = RECORDED_KEYS.sub(key.encode(), header) + b"\n" + rest
    path = re.sub(r"sentry_key=\w+", f"sentry_key={key}", one.path)
    base = {"sentry": "/v1/events/sentry", "segment": "/v1/events/segment", "otlp": "/v1/events/otlp"}[
        one.door or ""
    ]
    path = path if path.startswith(base) else base + path
    return client.post(path, headers=headers, content=body)


def _encoded(body: bytes, encoding: str | None) -> bytes:
    return zlib.compress(body, wbits=31) if encoding == "gzip" else body


def test_every_recording_is_accepted_twice_and_counted_once(
    anonymous: TestClient, key: IssuedKey, public: IssuedKey, stored: Stored
) -> None:
    for one in FOREIGN:
        for _ in range(2):
            answer = _send(anonymous, one, (public if "origin" in one.headers else key).text)
            assert answer.status_code == 200, (one.case, answer.text)
    records = [orjson.loads(record.value) for record in stored()]
    # The second time brings no new id, so that counting drops all of it.
    assert len(records) == 2 * sum(len(one.expected) for one in FOREIGN)
    ids = {event["event_id"] for one in FOREIGN for event in one.read().events}
    assert len({record["event_id"] for record in records}) == len(ids)


PLACES: dict[str, Callable[[TestClient, str], Response]] = {
    "bearer": lambda c, k: c.post(SENTRY, content=ENVELOPE, headers={"Authorization": f"Bearer {k}"}),
    "x-api-key": lambda c, k: c.post(SENTRY, content=ENVELOPE, headers={"X-API-Key": k}),
    "x-sentry-auth": lambda c, k: c.post(
        SENTRY, content=ENVELOPE, headers={"X-Sentry-Auth": f"Sentry sentry_version=7, sentry_key={k}"}
    ),
    "authorization sentry": lambda c, k: c.post(
        SENTRY, content=ENVELOPE, headers={"Authorization": f"Sentry sentry_key={k}, sentry_version=7"}
    ),
    "sentry_key": lambda c, k: c.post(f"{SENTRY}?sentry_key={k}", content=ENVELOPE),
    "dsn": lambda c, k: c.post(
        "/v1/events/sentry/tunnel",
        content=ENVELOPE.replace(b"{}", b'{"dsn":"http://%s@h/1"}' % k.encode(), 1),
    ),
    "basic": lambda c, k: c.post("/v1/events/segment/v1/track", auth=(k, ""), content=b'{"event":"x"}'),
    "writeKey": lambda c, k: c.post(
        "/v1/events/segment/t", content=json.dumps({"event": "x", "writeKey": k}).encode()
    ),
    "key": lambda c, k: c.post(f"/v1/events/deploys?key={k}", content=b'{"release":"1"}'),
    "gitlab token": lambda c, k: c.post(
        "/v1/events/deploys/gitlab", content=b'{"object_kind":"push"}', headers={"X-Gitlab-Token": k}
    ),
}


@pytest.mark.parametrize("place", PLACES)
def test_key_is_found_in_every_place(anonymous: TestClient, key: IssuedKey, place: str) -> None:
    assert PLACES[place](anonymous, key.text).status_code == 200
    wrong = key.text[:-1] + ("E" if key.text[-1] == "A" else "A")
    assert PLACES[place](anonymous, wrong).status_code in (401, 403)


def test_two_different_keys_are_refused(anonymous: TestClient, key: IssuedKey) -> None:
    header = {"X-Sentry-Auth": f"Sentry sentry_key={key.text}"}
    assert anonymous.post(f"{SENTRY}?sentry_key=other", content=ENVELOPE, headers=header).status_code == 403
    dsn = ENVELOPE.replace(b"{}", b'{"dsn":"http://other@h/1"}', 1)
    assert anonymous.post(SENTRY, content=dsn, headers=header).status_code == 403


ENCODINGS: dict[str, Callable[[bytes], bytes]] = {
    "br": brotli.compress,
    "gzip": lambda body: zlib.compress(body, wbits=31),
    "deflate": zlib.compress,
    "deflate raw": lambda body: zlib.compress(body, wbits=-15),
    "zstd": zstandard.compress,
    "identity": bytes,
}


@pytest.mark.parametrize("name", ENCODINGS)
def test_every_encoding_is_read(client: TestClient, name: str) -> None:
    header = {"Content-Encoding": name.split()[0]}
    answer = client.post(SENTRY, content=ENCODINGS[name](ENVELOPE), headers=header)
    assert (answer.status_code, answer.json()) == (200, {"id": "0123456789abcdef0123456789abcdef"})
    if name != "identity":
        cut = ENCODINGS[name](ENVELOPE)[:-3]
        assert client.post(SENTRY, content=cut, headers=header).status_code == 400


def test_base64_of_zlib_is_read_at_the_store_endpoint(client: TestClient) -> None:
    body = base64.b64encode(zlib.compress(b'{"message":"m"}'))
    assert body.startswith(b"eJ")
    answer = client.post("/v1/events/sentry/api/1/store/", content=body)
    assert (answer.status_code, len(answer.json()["id"])) == (200, 32)


def test_unwanted_items_are_answered_with_a_rate_limit(client: TestClient) -> None:
    answer = client.post(SENTRY, content=b'{}\n{"type":"transaction"}\n{}')
    assert (answer.status_code, answer.json()) == (200, {})
    assert "transaction" in answer.headers["x-sentry-rate-limits"]
    assert "error" not in answer.headers["x-sentry-rate-limits"]


def test_losses_and_ignored_items_stand_in_the_ledger(
    client: TestClient, pool: ConnectionPool[Connection]
) -> None:
    report = {"discarded_events": [{"reason": "network_error", "category": "error", "quantity": 3}]}
    body = b'{}\n{"type":"client_report"}\n' + orjson.dumps(report) + b'\n{"type":"session"}\n{}'
    assert client.post(SENTRY, content=body).status_code == 200
    now = datetime.now(UTC)
    since, until_at = now - timedelta(minutes=2), now + timedelta(minutes=2)
    found = until(lambda: not_events(pool, since, until_at, at_least=2))
    assert {f"{row.kind}:{row.door}:{row.reason}": row.items for row in found} == {
        "lost_before:sentry:network_error/error": 3,
        "ignored:sentry:session": 1,
    }
    assert LedgerAudit(pool).report("proj_1", since, until_at).minutes == []


def test_otlp_answers_in_the_type_of_the_request(client: TestClient) -> None:
    path = "/v1/events/otlp/v1/logs"
    body = recording("otlp-py-http/000").wire
    answer = client.post(path, content=body, headers={"Content-Type": "application/x-protobuf"})
    partial = ExportLogsServiceResponse.FromString(answer.content).partial_success
    assert (answer.status_code, partial.rejected_log_records) == (200, 0)
    assert partial.error_message == "below severity: 2"
    broken = client.post(path, content=b"\xff", headers={"Content-Type": "application/x-protobuf"})
    assert (broken.status_code, Status.FromString(broken.content).code) == (400, 3)
    as_json = client.post(path, content=b'{"a', headers={"Content-Type": "application/json"})
    assert (as_json.status_code, as_json.json()["code"]) == (400, 3)
    empty = client.post(path, content=b"{}", headers={"Content-Type": "application/json"})
    assert (empty.status_code, empty.json()) == (200, {})
    for signal in ("metrics", "profiles", "metrics/"):
        elsewhere = client.post(f"/v1/events/otlp/v1/{signal}", content=b"")
        assert (elsewhere.status_code, Status.FromString(elsewhere.content).code) == (404, 5)
    with_slash = client.post(f"{path}/", content=body, headers={"Content-Type": "application/x-protobuf"})
    assert with_slash.status_code == 200


def test_environment_in_the_path_of_segment(client: TestClient, stored: Stored) -> None:
    path = "/v1/events/segment/staging/v1/batch"
    batch = {"batch": [{"type": "track", "event": "Signed Up", "messageId": "m"}]}
    assert client.post(path, content=orjson.dumps(batch)).json() == {"success": True}
    event = orjson.loads(stored()[0].value)
    assert (event["event_type"], event["environment"]) == ("signup", "staging")


def test_settings_of_the_project_reach_the_door(
    pool: ConnectionPool[Connection], publisher: Publisher, key: IssuedKey, stored: Stored
) -> None:
    call = {"event": "Trial Started", "userId": "u-1", "messageId": "m"}
    with ingest_client(pool, publisher, cache_s=0.0) as client:
        for names in (None, ["trial started"]):
            change = DoorsChange(signup_names=names, default_names=names is None, kept_fields=["user_id"])
            DoorSettingsEditor(pool).change(key.project_id, change, actor="test")
            assert (
                client.post("/v1/events/segment/v1/track", json=call, auth=(key.text, "")).status_code == 200
            )
    events = [orjson.loads(record.value) for record in stored()]
    assert sorted(event["event_type"] for event in events) == ["custom", "signup"]
    assert {event["payload"]["user_id"] for event in events} == {"u-1"}


def test_webhook_of_github_needs_its_signature(anonymous: TestClient, key: IssuedKey) -> None:
    path = f"/v1/events/deploys/github?key={key.text}"
    body = orjson.dumps({"deployment_status": {"state": "success"}, "deployment": {"sha": "abc123"}})
    signature = "sha256=" + hmac.new(key.text.encode(), body, hashlib.sha256).hexdigest()
    headers = {"X-GitHub-Event": "deployment_status", "X-GitHub-Delivery": "d-1"}
    assert anonymous.post(path, content=body, headers=headers).status_code == 401
    answers = [
        anonymous.post(path, content=body, headers={**headers, "X-Hub-Signature-256": signature})
        for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    assert len(answers[0].json()["event_ids"]) == 1


def test_webhook_of_vercel_needs_its_signature(
    pool: ConnectionPool[Connection], publisher: Publisher, key: IssuedKey
) -> None:
    path = f"/v1/events/deploys/vercel?key={key.text}"
    deployment = {"id": "dpl_1", "meta": {"githubCommitSha": "abc123"}}
    body = orjson.dumps({"id": "h", "type": "deployment.succeeded", "payload": {"deployment": deployment}})
    signed = {"x-vercel-signature": hmac.new(b"made-up", body, hashlib.sha1).hexdigest()}
    with ingest_client(pool, publisher, cache_s=0.0) as client:
        for headers in ({}, signed):
            refused = client.post(path, content=body, headers=headers)
            assert (refused.status_code, refused.json()["code"]) == (401, "wrong_signature")
        assert "--vercel-secret" in refused.json()["detail"]
        DoorSettingsEditor(pool).change(key.project_id, DoorsChange(vercel_secret="made-up"), actor="test")
        assert client.post(path, content=body).status_code == 401
        accepted = client.post(path, content=body, headers=signed)
        assert (accepted.status_code, len(accepted.json()["event_ids"])) == (200, 1)
        DoorSettingsEditor(pool).change(key.project_id, DoorsChange(vercel_secret=""), actor="test")
        assert client.post(path, content=body, headers=signed).status_code == 401


def test_every_refusal_stands_in_the_ledger(client: TestClient, pool: ConnectionPool[Connection]) -> None:
    assert client.post(SENTRY, content=b"[").status_code == 400
    assert client.post(SENTRY, content=b"x" * (9 * 1024 * 1024)).status_code == 413
    assert client.post("/v1/events/otlp/v1/logs", content=b"\xff").status_code == 400
    assert client.post("/v1/events/segment/v1/batch", content=b"{}").status_code == 400
    assert client.post("/v1/events/deploys", content=b"{}").status_code == 400
    now = datetime.now(UTC)
    since, until_at = now - timedelta(minutes=2), now + timedelta(minutes=2)
    found = until(lambda: not_events(pool, since, until_at, at_least=5))
    assert {(row.door, row.reason): row.items for row in found} == {
        ("sentry", "answered 400 malformed_json"): 1,
        ("sentry", "answered 413 too_large"): 1,
        ("otlp", "answered 400 malformed_protobuf"): 1,
        ("segment", "answered 400 missing"): 1,
        ("deploys", "answered 400 missing"): 1,
    }


def test_hook_that_cannot_be_read_is_refused(client: TestClient) -> None:
    assert client.post("/v1/events/deploys/jenkins", content=b"{}").status_code == 404
    answer = client.post("/v1/events/deploys", content=b"{}")
    assert (answer.status_code, answer.json()["field"]) == (400, "release")
