"""Messages reach real receivers, and every way in which a receiver fails has its own result."""

import socket
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import pytest
import trustme
from standardwebhooks import Webhook, WebhookVerificationError

from signals.clients.outbound.senders import Sender
from signals.domain.notifications.addresses import AllowList
from signals.domain.notifications.delivery import DeliveryResult
from signals.domain.notifications.messages import MessageHead, NoticeMessage, ToldIncident, compose
from signals.domain.notifications.targets import parse_target
from tests.support.receivers import HttpReceiver, Mode, http_receiver, mail_receiver

KEYS: Final = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"]
LOOPBACK: Final = AllowList.parse("127.0.0.0/8, ::1")
TIMEOUT_S: Final = 1.5  # of a receiver that never answers
PATIENT_S: Final = 20.0  # of one that answers at once


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    """An HTTP server that keeps what it gets."""
    with http_receiver() as receiver:
        yield receiver


def sender(
    allowed: AllowList = LOOPBACK, tls: ssl.SSLContext | None = None, *, timeout_s: float = PATIENT_S
) -> Sender:
    return Sender(allowed, timeout_s=timeout_s, tls=tls)


def message(happening: Any = "opened", version: int = 1, **fields: Any) -> NoticeMessage:
    now = datetime.now(UTC)
    told = ToldIncident(
        id=UUID(int=1),
        project_id="shop",
        environment="prod",
        fingerprint="TIMEOUT|/checkout|prod",
        status=fields.pop("status", "open"),
        severity="error",
        title="TIMEOUT at /checkout",
        opened_at=now,
    )
    head = MessageHead(notice_id=UUID(int=7), version=version, at=now, **fields)
    return compose(told, happening, head)


def send(
    url: str, told: NoticeMessage | None = None, keys: list[str] = KEYS, **options: Any
) -> DeliveryResult:
    target = parse_target({"kind": "webhook", "url": url, "signing_keys": keys})
    return sender(**options).send(target, told or message(), datetime.now(UTC))


def test_public_library_verifies_each_signature(receiver: HttpReceiver) -> None:
    result = send(f"{receiver.url}/hook?x=1")
    assert (result.state, result.status) == ("told", 200)
    [got] = receiver.requests
    assert (got.path, got.headers["webhook-id"]) == ("/hook?x=1", f"{UUID(int=7)}.0.opened.error")
    for key in KEYS:  # during a rotation the receiver knows only one of them
        assert Webhook(key).verify(got.body, got.headers)["type"] == "incident.opened"
    with pytest.raises(WebhookVerificationError):
        Webhook(KEYS[0]).verify(got.body + b" ", got.headers)


def test_messages_that_follow_each_other_share_a_connection(receiver: HttpReceiver) -> None:
    hook = parse_target({"kind": "webhook", "url": f"{receiver.url}/hook", "signing_keys": KEYS})
    timeout_s = 4 * TIMEOUT_S  # enough for an answer, too
    ours = sender(timeout_s=timeout_s)
    with ours.keeping_connections():
        for version in range(3):
            assert ours.send(hook, message(version=version), datetime.now(UTC)).state == "told"
        assert receiver.connections == 1
        receiver.mode = "drip"  # the deadline is each message's, not that of the connection
        began = time.monotonic()
        assert ours.send(hook, message(), datetime.now(UTC)).state == "retry"
        assert time.monotonic() - began >= 0.9 * timeout_s
    receiver.mode = "ok"
    for version in range(2):
        assert ours.send(hook, message(version=version), datetime.now(UTC)).state == "told"
    assert receiver.connections == 3


def test_name_that_moves_inward_is_refused_beside_a_kept_connection(
    receiver: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kept connection goes on to the address that was checked; a new one is checked anew."""
    answers = iter(["127.0.0.1", "10.0.0.1"])

    def look_up(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        address = next(answers) if host == "moving.example" else host
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    url = f"http://moving.example:{receiver.port}/hook"
    hook = parse_target({"kind": "webhook", "url": url, "signing_keys": KEYS})
    ours = sender()
    with ours.keeping_connections():
        states = [ours.send(hook, message(version=1), datetime.now(UTC)).state for _ in range(2)]
    assert states == ["told", "told"]
    result = ours.send(hook, message(version=1), datetime.now(UTC))
    assert (result.state, receiver.connections) == ("refused", 1)


@pytest.mark.parametrize(
    ("mode", "state", "status"),
    [
        ("error", "retry", 500),
        ("busy", "retry", 429),
        ("hang", "retry", None),
        ("drip", "retry", None),
        ("reset", "retry", None),
        ("redirect", "refused", 302),
        ("gone", "refused", 410),
    ],
)
def test_each_failure_has_its_result(
    receiver: HttpReceiver, mode: Mode, state: str, status: int | None
) -> None:
    receiver.mode = mode
    never_answers = mode in ("hang", "drip")
    result = send(f"{receiver.url}/secret-path", timeout_s=TIMEOUT_S if never_answers else PATIENT_S)
    assert (result.state, result.status) == (state, status)
    assert result.error is not None
    assert "secret-path" not in result.error
    assert (result.retry_after is not None) == (mode == "busy")
    assert result.is_gone == (mode == "gone")
    assert len(receiver.requests) == 1  # no redirect was followed, nothing was repeated


def test_refused_connection_is_tried_again_later() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert send(f"http://127.0.0.1:{port}").state == "retry"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f000001", "127.1"])
def test_private_address_gets_nothing(receiver: HttpReceiver, host: str) -> None:
    result = send(f"http://{host}:{receiver.port}/", allowed=AllowList())
    assert (result.state, result.status) == ("refused", None)
    assert "SIGNALS_NOTIFY_ALLOW" in str(result.error)
    assert receiver.requests == []


def test_proxy_of_the_environment_is_not_used(
    receiver: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert send(receiver.url).state == "told"


def slack(receiver: HttpReceiver, told: NoticeMessage) -> DeliveryResult:
    fields = {"kind": "slack", "channel": "#ops", "token": "xoxb-secret", "api_url": f"{receiver.url}/api"}
    return sender().send(parse_target(fields), told, datetime.now(UTC))


def test_slack_message_is_posted_once_then_edited(receiver: HttpReceiver) -> None:
    first = slack(receiver, message())
    assert (first.state, first.reference) == ("told", "C1:1700000000.000001")
    slack(receiver, message("updated", 2, reference=first.reference))
    last = slack(receiver, message("resolved", 3, reference=first.reference, status="resolved"))
    assert last.reference == first.reference
    calls = [(got.path, got.json.get("ts"), got.json.get("thread_ts")) for got in receiver.requests]
    posted_at = "1700000000.000001"
    assert calls == [
        ("/api/chat.postMessage", None, None),
        ("/api/chat.update", posted_at, None),
        ("/api/chat.update", posted_at, None),
        ("/api/chat.postMessage", None, posted_at),
    ]
    assert [got.json["channel"] for got in receiver.requests] == ["#ops", "C1", "C1", "C1"]
    assert {got.headers["authorization"] for got in receiver.requests} == {"Bearer xoxb-secret"}


@pytest.mark.parametrize(
    ("error", "state"),
    [("ratelimited", "retry"), ("channel_not_found", "refused"), ("invalid_auth", "refused")],
)
def test_error_that_slack_answers_with_200_is_one(
    receiver: HttpReceiver, monkeypatch: pytest.MonkeyPatch, error: str, state: str
) -> None:
    monkeypatch.setattr(HttpReceiver, "answer_of", lambda *_: {"ok": False, "error": error})
    result = slack(receiver, message())
    assert (result.state, result.error) == (state, f"Slack answered {error}")


def test_lost_slack_message_is_posted_anew(receiver: HttpReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    answer_of = HttpReceiver.answer_of
    lost = {"ok": False, "error": "message_not_found"}
    monkeypatch.setattr(
        HttpReceiver, "answer_of", lambda self, path: lost if "update" in path else answer_of(self, path)
    )
    result = slack(receiver, message("updated", 2, reference="C1:1.2"))
    assert result.reference == "C1:1700000000.000001"


def test_pagerduty_repeats_carry_one_dedup_key(receiver: HttpReceiver) -> None:
    fields = {"kind": "pagerduty", "routing_key": "R" * 32, "api_url": f"{receiver.url}/v2/enqueue"}
    for told in (
        message(),
        message("updated", 2, status="investigating"),
        message("resolved", 3, status="resolved"),
    ):
        assert sender().send(parse_target(fields), told, datetime.now(UTC)).state == "told"
    bodies = [got.json for got in receiver.requests]
    assert [body["event_action"] for body in bodies] == ["trigger", "acknowledge", "resolve"]
    assert {(body["routing_key"], body["dedup_key"]) for body in bodies} == {("R" * 32, str(UUID(int=1)))}


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A certificate authority of the test's own."""
    return trustme.CA()


def tls_of(authority: trustme.CA, host: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return the contexts of a server for `host`, and of a client that trusts the authority."""
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert(host).configure_cert(server)
    authority.configure_trust(client)
    return server, client


def mail_to(
    port: int,
    told: NoticeMessage | None = None,
    tls: ssl.SSLContext | None = None,
    allowed: AllowList = LOOPBACK,
    timeout_s: float = PATIENT_S,
    **fields: Any,
) -> DeliveryResult:
    target = {
        "kind": "email",
        "to": ["team@example.com", "boss@example.com"],
        "sender": "signals@example.com",
        "host": "localhost",
        "port": port,
        **fields,
    }
    ours = sender(allowed, tls, timeout_s=timeout_s)
    return ours.send(parse_target(target), told or message(), datetime.now(UTC))


def test_mail_arrives_through_starttls_and_auth_and_threads(authority: trustme.CA) -> None:
    server, client = tls_of(authority, "localhost")
    login: dict[str, Any] = {"username": "me", "password": "hunter2"}
    with mail_receiver(tls=server, login=("me", "hunter2")) as receiver:
        first = mail_to(receiver.port, tls=client, **login)
        assert (first.state, first.status) == ("told", 250)
        mail_to(receiver.port, message("worse", 2, reference=first.reference), tls=client, **login)
        assert mail_to(receiver.port, tls=client, username="me", password="wrong").state == "refused"
    assert receiver.encrypted == [True, True]
    assert receiver.recipients[0] == ["team@example.com", "boss@example.com"]
    opened, worse = receiver.mails
    assert opened["Subject"] == "[error] shop prod: TIMEOUT at /checkout"
    assert worse["References"] == opened["Message-ID"]


def test_mail_server_with_a_certificate_of_another_host_gets_nothing(authority: trustme.CA) -> None:
    server, client = tls_of(authority, "other.example")
    with mail_receiver(tls=server) as receiver:
        result = mail_to(receiver.port, tls=client)
    assert (result.state, receiver.mails) == ("retry", [])
    assert "certificate" in str(result.error)


@pytest.mark.parametrize(
    ("answer", "state"), [("451 later", "retry"), ("550 no", "refused"), ("421 bye", "retry")]
)
def test_answer_of_a_mail_server_decides(answer: str, state: str) -> None:
    with mail_receiver() as receiver:
        receiver.answer = answer
        result = mail_to(receiver.port, security="none")
        assert (result.state, result.status) == (state, int(answer[:3]))
        receiver.answer = None
        assert mail_to(receiver.port, security="none").state == "told"
    assert len(receiver.mails) == 1


@pytest.mark.parametrize(
    ("boss", "state"), [("450 greylisted", "retry"), ("550 no such mailbox", "refused"), (None, "told")]
)
def test_mail_is_tried_again_when_a_recipient_is_put_off(boss: str | None, state: str) -> None:
    with mail_receiver() as receiver:
        receiver.refuses = {"team@example.com": "550 no such mailbox"}
        if boss is not None:
            receiver.refuses["boss@example.com"] = boss
        assert mail_to(receiver.port, security="none").state == state
        assert receiver.recipients == ([["boss@example.com"]] if boss is None else [])


def test_mail_server_without_starttls_gets_no_mail() -> None:
    with mail_receiver() as receiver:
        result = mail_to(receiver.port)
    assert (result.state, receiver.mails) == ("refused", [])


def test_mail_server_that_says_nothing_is_left_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.process_time()
        result = mail_to(silent.getsockname()[1], timeout_s=TIMEOUT_S, security="none")
    assert result.state == "retry"
    assert time.process_time() - began < TIMEOUT_S  # it waited, and did not spin


def test_private_mail_server_gets_nothing() -> None:
    with mail_receiver() as receiver:
        target = {
            "kind": "email",
            "to": ["a@b.example"],
            "sender": "c@d.example",
            "host": "127.0.0.1",
            "port": receiver.port,
        }
        result = Sender(AllowList(), timeout_s=PATIENT_S).send(
            parse_target(target), message(), datetime.now(UTC)
        )
    assert (result.state, receiver.mails) == ("refused", [])
