"""The line that says who works on an outage: words of our own people, and true at its end."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from signals.domain.notifications.messages import MessageHead, NoticeMessage, ToldIncident
from signals.domain.notifications.outage_messages import ToldOutage, compose_outage
from signals.domain.notifications.rendering import plain_parts

AT = datetime(2026, 3, 3, 12, tzinfo=UTC)


def compose(assignee: str | None, *, status: str = "open", incidents: int = 1) -> NoticeMessage:
    outage = ToldOutage(id=UUID(int=9), assignee=assignee, snoozed_severity="error")
    told = [
        ToldIncident(
            id=UUID(int=number),
            project_id="shop",
            environment="prod",
            fingerprint=f"TIMEOUT|/{number}|prod",
            status=status,
            severity="error",
            title=f"TIMEOUT at /{number} for joe@example.com",
            opened_at=AT,
            resolved_at=AT + timedelta(minutes=5) if status == "resolved" else None,
        )
        for number in range(incidents)
    ]
    return compose_outage(outage, told, "opened", MessageHead(notice_id=UUID(int=7), version=1, at=AT))


@pytest.mark.parametrize("incidents", [1, 2])
def test_assignee_that_is_a_mail_address_is_named(incidents: int) -> None:
    message = compose("jane@example.com", incidents=incidents)
    assert "assigned to jane@example.com, snoozed" in message.lines
    assert "joe@example.com" not in message.text  # an event's text


def test_assignee_adds_no_line_and_mentions_nobody() -> None:
    message = compose("@channel\n<!here>\x1b[31m")
    assert "assigned to @channel <!here> [31m, snoozed" in message.lines
    _, text = plain_parts(message, is_formatted=True)
    assert "@channel" not in text
    assert "<!here>" not in text


@pytest.mark.parametrize("incidents", [1, 2])
def test_end_of_a_snoozed_outage_is_not_called_snoozed(incidents: int) -> None:
    assert "assigned to jane" in compose("jane", status="resolved", incidents=incidents).lines
    assert "snoozed" not in compose(None, status="resolved", incidents=incidents).text
