"""Messages say the same everywhere, and text of events can neither mention, format nor inject."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signals.domain.notifications.messages import (
    MessageHead,
    NoticeMessage,
    ToldIncident,
    compose,
    compose_storm,
    compose_test,
)
from signals.domain.notifications.rendering import (
    mail,
    pagerduty_event,
    plain_parts,
    slack_payload,
    slack_reply,
    webhook_body,
)
from signals.domain.notifications.targets import EmailTarget

AT = datetime(2026, 3, 3, 12, tzinfo=UTC)
NOTICE = UUID(int=7)
HEADERS = "Subject From To Date Auto-Submitted X-Signals-Key Message-ID"
BODY_HEADERS = "Content-Type Content-Transfer-Encoding MIME-Version"
MAIL = EmailTarget(
    kind="email", to=["team@example.com"], sender="signals@example.com", host="smtp.example.com"
)


def incident(**fields: Any) -> ToldIncident:
    given: dict[str, Any] = {
        "id": UUID(int=1),
        "project_id": "shop",
        "environment": "prod",
        "fingerprint": "TIMEOUT|/checkout|prod",
        "status": "open",
        "severity": "error",
        "title": "TIMEOUT at /checkout",
        "opened_at": AT,
        "numbers": "error_spike: 90, usually 2.0, threshold 30",
    }
    return ToldIncident(**given | fields)


def head(version: int = 1, **fields: Any) -> MessageHead:
    return MessageHead(notice_id=NOTICE, version=version, at=AT, **fields)


def message(happening: Any = "opened", version: int = 1, **fields: Any) -> NoticeMessage:
    options = {name: fields.pop(name) for name in ("link_url", "reference") if name in fields}
    return compose(incident(**fields), happening, head(version, **options))


def test_message_names_incident_place_numbers_and_next_step() -> None:
    assert message(link_url="https://signals.example/").text.splitlines() == [
        "[error] shop prod: TIMEOUT at /checkout",
        "open since 2026-03-03 12:00 UTC",
        "error_spike: 90, usually 2.0, threshold 30",
        f"signals incidents show {UUID(int=1)}",
        f"More: https://signals.example/v1/incidents/{UUID(int=1)}",
    ]


def test_resolved_message_says_from_when_to_when() -> None:
    told = message("resolved", status="resolved", resolved_at=datetime(2026, 3, 3, 12, 20, tzinfo=UTC))
    assert told.lines[0] == "resolved: was open 2026-03-03 12:00 UTC to 2026-03-03 12:20 UTC"


def test_secret_in_a_title_is_not_sent() -> None:
    told = message(title="login failed for jane@example.com password=hunter2hunter2")
    assert "jane@example.com" not in told.text
    assert "hunter2" not in told.text


def test_secret_in_a_fingerprint_is_not_sent() -> None:
    told = message(fingerprint="mail jane@example.com password=hunter2hunter2|/checkout|prod")
    [sent] = webhook_body(told)["data"]["incidents"]
    assert "jane" not in sent["fingerprint"]
    assert "hunter2" not in sent["fingerprint"]


HOSTILE = [
    "<!channel> <@U123> @everyone",
    "*bold* ~gone~ `code` <https://evil.example|click>",
    "line\r\nBcc: victim@evil.example\r\n\r\nbody",
    "\u202egnp.exe\u200b\x1b[31m\x00",
    '","action":"resolve","x":"',
    "&lt;!here&gt;",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_slack_shows_hostile_text_as_plain_text(text: str) -> None:
    told = message(title=text, impact=text, causes=(text,))
    payload = slack_payload(told)
    for shown in (payload["text"], slack_reply(told)):
        assert "<" not in shown
        assert ">" not in shown
    assert (payload["parse"], payload["link_names"], payload["mrkdwn"]) == ("none", False, False)
    texts = [block["text"] for block in payload["blocks"] if "text" in block]
    assert {(one["type"], one["emoji"]) for one in texts} == {("plain_text", False)}


@given(st.text(max_size=300), st.text(max_size=300))
def test_no_text_adds_a_header_or_a_recipient_to_a_mail(title: str, impact: str) -> None:
    written = mail(message(title=title, impact=impact), MAIL)
    assert written.keys() == f"{HEADERS} {BODY_HEADERS}".split()
    assert written["To"] == "team@example.com"
    raw = written.as_bytes().partition(b"\r\n\r\n")[0]
    assert b"\nBcc" not in raw
    assert written.get_content_type() == "text/plain"


ENCODED = "=?utf-8?q?x=0D=0ABcc:_v=40evil.example=0D=0A=0D=0ALog_in_at_evil.example?="


@given(st.sampled_from(["", "?", "=", "=?", "a"]), st.sampled_from(["", "?=", "=?b?q", " "]))
def test_encoded_words_in_a_title_add_nothing_to_a_mail(before: str, after: str) -> None:
    for reference in (None, "x"):
        written = mail(message(title=f"{before}{ENCODED}{after}", reference=reference), MAIL)
        head, _, body = written.as_bytes().partition(b"\r\n\r\n")
        assert b"\nBcc" not in head
        assert b"\nMessage-ID: " in head
        assert head.startswith(b"Subject: ")
        assert b"Log in at" not in body.partition(b"\n")[0]
        assert "\n" not in written["Subject"]


@given(st.text(max_size=500))
def test_lines_hold_no_control_characters(text: str) -> None:
    told = message(title=text, impact=text, causes=(text, text))
    for line in (told.title, *told.lines):
        assert line.isprintable()
        assert len(line) <= 400
    assert json.loads(json.dumps(webhook_body(told)))["data"]["title"] == told.title


def test_later_mails_answer_the_first() -> None:
    first, later = mail(message(), MAIL), mail(message("worse", version=2, reference="x"), MAIL)
    assert later["References"] == later["In-Reply-To"] == first["Message-ID"]
    assert later["Message-ID"] != first["Message-ID"]


@pytest.mark.parametrize(
    ("happening", "status", "action"),
    [
        ("opened", "open", "trigger"),
        ("worse", "open", "trigger"),
        ("updated", "open", "trigger"),
        ("updated", "investigating", "acknowledge"),
        ("resolved", "resolved", "resolve"),
        ("reopened", "open", "trigger"),
    ],
)
def test_pagerduty_action_follows_the_state(happening: Any, status: str, action: str) -> None:
    event = pagerduty_event(message(happening, status=status), "key")
    assert (event["event_action"], event["dedup_key"]) == (action, str(UUID(int=1)))
    assert event["payload"]["severity"] in ("critical", "error", "warning", "info")
    assert {"summary", "source", "severity"} <= event["payload"].keys()
    assert len(event["payload"]["summary"]) <= 1024


def test_storm_is_one_message_with_its_worst_first() -> None:
    many = tuple(incident(id=UUID(int=n), title=f"number {n}", severity="critical") for n in range(30))
    told = compose_storm(many, head(9), is_first=True)
    assert told.title == "[critical] shop: 30 further incidents at once"
    assert len(told.lines) == 12
    assert told.lines[-1] == "and 20 more: signals incidents list"
    over = tuple(incident(id=UUID(int=n), status="resolved") for n in range(3))
    ended = compose_storm(over, head(10), is_first=False)
    assert (ended.happening, ended.status) == ("resolved", "resolved")


def test_test_message_says_that_it_is_one() -> None:
    told = compose_test("team", notice_id=NOTICE, at=AT)
    assert told.title.startswith("[test]")
    assert pagerduty_event(told, "key")["event_action"] == "resolve"  # nobody is called by a test


@given(text=st.text(max_size=80))
def test_text_for_other_services_neither_mentions_nor_links(text: str) -> None:
    hostile = f"{text} @everyone <!channel> <@U1> [a](https://evil.example) **b** #room __c__ ||d||"
    title, body = plain_parts(message(title=hostile, link_url="https://signals.example"), is_formatted=True)
    for shown in (title, body.replace("https://signals.example", "")):
        for forbidden in ("@e", "<!", "<@", "[a", "://", "**", "#r", "__", "||"):
            assert forbidden not in shown
    assert f"More: https://signals.example/v1/incidents/{UUID(int=1)}" in body
    assert title.replace("\u200b", "").startswith("[error] shop prod:")


def test_programs_get_the_text_as_it_is() -> None:
    title, body = plain_parts(message(title="a@b <c>"), is_formatted=False)
    assert title.endswith("a@b <c>")
    assert "\u200b" not in title + body
