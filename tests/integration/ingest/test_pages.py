"""Pages send with public keys: origins, rights, limits of their own, and no secret key in a page."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from psycopg_pool import ConnectionPool
from starlette.testclient import TestClient

from signals.clients.postgres import Connection
from signals.domain.access.scopes import Scope
from signals.services.access.provisioning import IssuedKey, KeyOptions, issue_key, revoke_keys, set_pages
from signals.services.ledger.audit import LedgerAudit
from tests.integration.ingest.conftest import Stored, not_events
from tests.support.recordings import recording
from tests.support.waiting import until

Pool = ConnectionPool[Connection]

SENTRY = "/v1/events/sentry/api/1/envelope/"
ENVELOPE = b'{}\n{"type":"event"}\n{"message":"m","level":"error"}'
SHOP = {"Origin": "https://shop.example"}
OTHER = {"Origin": "https://other.example"}
SIGNUP = orjson.dumps({"event": "Signed Up", "messageId": "m-1"})


def _public(pool: Pool, key: IssuedKey, **options: object) -> str:
    return issue_key(pool, key.project_id, Scope.PUBLIC, options=KeyOptions(**options)).text  # type: ignore[arg-type]  # of any kind


def test_preflight_is_answered_where_clients_send_one(anonymous: TestClient) -> None:
    asked = {**SHOP, "Access-Control-Request-Headers": "authorization"}
    paths = (SENTRY, "/v1/events/sentry/tunnel", "/v1/events/segment/v1/t", "/v1/events/otlp/v1/logs")
    for path in (*paths, "/v1/events/batch", "/v1/events"):
        answer = anonymous.options(path, headers=asked)
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-origin"] == SHOP["Origin"]
        assert answer.headers["access-control-allow-headers"] == "authorization"
        assert answer.headers["access-control-max-age"] == "3600"


def test_key_serves_its_own_pages_only(anonymous: TestClient, pool: Pool, key: IssuedKey) -> None:
    address = f"{SENTRY}?sentry_key={_public(pool, key, origins=['https://*.example.org', SHOP['Origin']])}"
    for origin in (SHOP["Origin"], "https://eu.example.org"):
        answer = anonymous.post(address, content=ENVELOPE, headers={"Origin": origin})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, origin)
        assert "X-Sentry-Rate-Limits" in answer.headers["access-control-expose-headers"]
        assert "Origin" in answer.headers["vary"]
    refused = anonymous.post(address, content=ENVELOPE, headers=OTHER)
    assert (refused.status_code, refused.json()["code"]) == (403, "origin_not_allowed")
    assert "signals keys pages" in refused.json()["detail"]
    assert "access-control-allow-origin" not in refused.headers
    assert anonymous.post(address, content=ENVELOPE).status_code == 200  # an app has no origin


@pytest.mark.usefixtures("nothing_stored")
def test_secret_key_in_a_page_is_refused_everywhere(client: TestClient, key: IssuedKey) -> None:
    requests = {
        SENTRY: ENVELOPE,
        "/v1/events/segment/v1/track": SIGNUP,
        "/v1/events/deploys": b'{"release":"1"}',
        "/v1/events/batch": b"[]",
        "/v1/events": b"{}",
    }
    for path, body in requests.items():
        answer = client.post(path, content=body, headers=SHOP)
        assert (answer.status_code, answer.json()["code"]) == (403, "secret_key_in_page"), path
        assert "--scope public" in answer.json()["detail"]
    otlp = client.post("/v1/events/otlp/v1/logs", json={}, headers=SHOP)
    assert (otlp.status_code, otlp.json()["code"]) == (403, 7)
    in_query = client.post(f"/v1/events/batch?key={key.text}", content=b"[]")
    assert (in_query.status_code, in_query.json()["code"]) == (403, "wrong_scope")


@pytest.mark.usefixtures("nothing_stored")
def test_public_key_neither_reads_nor_sends_as_a_server(anonymous: TestClient, public: IssuedKey) -> None:
    for path in ("/v1/events", "/v1/events/batch"):
        answer = anonymous.post(path, json=[], headers={"X-API-Key": public.text})
        assert (answer.status_code, answer.json()["code"]) == (403, "wrong_scope")


def test_recorded_snippet_is_accepted_twice_and_counted_once(
    anonymous: TestClient, public: IssuedKey, stored: Stored
) -> None:
    for _ in range(2):
        for case in ("snippet/000", "snippet/001"):
            one = recording(case)
            headers = {name: one.headers[name] for name in ("origin", "content-type")}
            path = one.path.replace("pubkey", public.text)
            answer = anonymous.post(path, content=one.wire, headers=headers)
            assert (answer.status_code, answer.json()["accepted"]) == (202, 1)
            assert answer.headers["access-control-allow-origin"] == one.headers["origin"]
    events = [orjson.loads(record.value) for record in stored()]
    assert (len(events), len({event["event_id"] for event in events})) == (4, 2)
    assert {event["attributes"]["route"] for event in events} == {"/snippet.html"}


def test_page_names_no_tenant_and_sends_no_signup(
    anonymous: TestClient, public: IssuedKey, stored: Stored
) -> None:
    events = [
        {"event_type": "signup", "message": "a"},
        {"event_type": "error", "message": "b", "project_id": "proj_1"},
        {"event_type": ["error"], "message": "c"},
        7,
        {"event_type": "error", "message": "fine"},
    ]
    answer = anonymous.post(f"/v1/events/batch?key={public.text}", content=orjson.dumps(events), headers=SHOP)
    fields = [(result["status"], result.get("field")) for result in answer.json()["results"]]
    assert fields[:2] == [("rejected", "event_type"), ("rejected", "project_id")]
    assert [status for status, _ in fields] == [*["rejected"] * 4, "accepted"]
    assert len(stored()) == 1


def test_signup_and_deploy_of_a_page_need_permission(
    anonymous: TestClient, pool: Pool, key: IssuedKey, stored: Stored
) -> None:
    plain, allowed = _public(pool, key), _public(pool, key, allowed=["signup", "deploy"])
    for text, status in ((plain, 403), (allowed, 200)):
        track = anonymous.post("/v1/events/segment/v1/t", content=SIGNUP, auth=(text, ""), headers=SHOP)
        assert track.status_code == 200
        deploy = anonymous.post(f"/v1/events/deploys?key={text}", content=b'{"release":"1"}', headers=SHOP)
        assert deploy.status_code == status
    assert len(stored()) == 2
    now = datetime.now(UTC)
    span = (now - timedelta(minutes=2), now + timedelta(minutes=2))
    found = until(lambda: not_events(pool, *span, at_least=3))
    assert {f"{row.kind}:{row.door}:{row.reason}": row.items for row in found} == {
        "refused:segment:signup not allowed for this key": 1,
        "refused:deploys:deploy not allowed for this key": 1,
        "refused:deploys:answered 403 not_allowed": 1,
    }


def test_password_of_a_host_is_no_key(anonymous: TestClient, public: IssuedKey) -> None:
    """A browser that logged in to the host sends name and password with every request."""
    address = f"{SENTRY}?sentry_key={public.text}"
    assert anonymous.post(address, content=ENVELOPE, headers=SHOP, auth=("jo", "pw")).status_code == 200
    as_key = anonymous.post(SENTRY, content=ENVELOPE, headers=SHOP, auth=(public.text, ""))
    assert as_key.status_code == 200


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize("word", ["signup", "SIGNUP", "Deploy"])
def test_every_spelling_of_a_signup_needs_permission(
    anonymous: TestClient, public: IssuedKey, word: str
) -> None:
    event = orjson.dumps({"event_type": word, "message": "m"})
    answer = anonymous.post(f"/v1/events/batch?key={public.text}", content=event)
    assert (answer.status_code, answer.json()["results"][0]["code"]) == (422, "not_allowed")


def test_public_key_has_a_rate_of_its_own(anonymous: TestClient, pool: Pool, key: IssuedKey) -> None:
    slow = f"{SENTRY}?sentry_key={_public(pool, key, events_per_second=1)}"
    answers = [anonymous.post(slow, content=ENVELOPE, headers=SHOP) for _ in range(10)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert answers[0].status_code == 200
    assert refused
    assert refused[0].headers["x-sentry-rate-limits"].endswith("::key:limit_exceeded")
    assert refused[0].headers["access-control-allow-origin"] == SHOP["Origin"]
    server = anonymous.post(SENTRY, content=ENVELOPE, headers={"X-API-Key": key.text})
    assert server.status_code == 200  # a stranger cannot use the servers' quota up


def test_changed_and_revoked_keys_follow(pool: Pool, key: IssuedKey, anonymous: TestClient) -> None:
    issued = issue_key(pool, key.project_id, Scope.PUBLIC)
    set_pages(pool, issued.key_id, origins=["HTTPS://Shop.Example/"], allowed=[])
    rotated = issue_key(pool, key.project_id, Scope.PUBLIC, ending_oldest=True)
    for text in (issued.text, rotated.text):  # shipped pages keep the old one
        address = f"{SENTRY}?sentry_key={text}"
        assert anonymous.post(address, content=ENVELOPE, headers=SHOP).status_code == 200
        assert anonymous.post(address, content=ENVELOPE, headers=OTHER).status_code == 403
    assert revoke_keys(pool, key_id=issued.key_id) == 1


def test_hits_with_unknown_keys_are_counted(anonymous: TestClient, pool: Pool, public: IssuedKey) -> None:
    wrong = public.text[:-1] + ("1" if public.text[-1] == "0" else "0")
    for _ in range(3):
        assert anonymous.post(f"{SENTRY}?sentry_key={wrong}", content=ENVELOPE).status_code == 403
    assert anonymous.post(f"{SENTRY}?sentry_key=0123456789abcdef", content=ENVELOPE).status_code == 403
    now = datetime.now(UTC)
    span = (now - timedelta(minutes=2), now + timedelta(minutes=2))

    def counted() -> Counter[tuple[str, str, str]]:
        """Add up the hits of all minutes: they are written by the second."""
        found = Counter[tuple[str, str, str]]()
        for row in LedgerAudit(pool).not_events(None, *span):
            found[row.project_id, row.door, row.reason] += row.items
        return found

    until(lambda: counted().total() >= 4)
    assert counted() == {
        ("", "sentry", f"unknown key {wrong[:15]}…"): 3,
        ("", "sentry", "unknown key 0123…"): 1,
    }
