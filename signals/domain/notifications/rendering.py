"""Writes a notice for each kind of destination; text of events can neither mention, format nor inject.

Sources: https://docs.slack.dev/messaging/formatting-message-text,
https://developer.pagerduty.com/docs/events-api-v2/trigger-events/,
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from collections.abc import Mapping
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any, Final, Literal

from signals.domain.notifications.messages import NoticeMessage, ToldIncident, clean
from signals.domain.notifications.targets import EmailTarget

SLACK_TEXT: Final = 3_000  # characters of a text object, by Slack's reference
PAGERDUTY_SUMMARY: Final = 1_024  # characters, by PagerDuty's reference
PAGERDUTY_SEVERITIES: Final = {"critical": "critical", "error": "error", "warn": "warning"}
MAX_FINGERPRINT: Final = 800  # characters: those of an error code and a route, escaped
MAX_INCIDENTS: Final = 100  # guess: in the body of a webhook; the rest is read by the outage's id
GAP: Final = "\u200b"  # has no width
FORMATTING: Final = frozenset("@#<&[*`~|!")
CLIENT: Final = "Customer Signals Copilot"


def slack_payload(message: NoticeMessage) -> dict[str, Any]:
    """Return text and blocks of a Slack message. The blocks are plain text, which Slack does not format."""
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": _plain(message.title, 150)},
        {"type": "section", "text": _plain("\n".join(message.lines) or "-", SLACK_TEXT)},
    ]
    if message.link:
        button = {"type": "button", "text": _plain("Open", 75), "url": message.link}
        blocks.append({"type": "actions", "elements": [button]})
    return {
        "text": _escaped(message.title),
        "blocks": blocks,
        "parse": "none",
        "link_names": False,
        "unfurl_links": False,
        "unfurl_media": False,
        "mrkdwn": False,
    }


def slack_reply(message: NoticeMessage) -> str:
    """Return the line that follows in the thread when an incident became worse, opened again or is over."""
    return _escaped(f"{message.title}\n{message.lines[0]}" if message.lines else message.title)


def plain_parts(message: NoticeMessage, *, is_formatted: bool) -> tuple[str, str]:
    """Return title and text; `is_formatted`: for services that format texts, each by rules of its own."""
    lines = [message.title, *message.lines]
    title, *lines = [_disarmed(line) for line in lines] if is_formatted else lines
    link = [f"More: {message.link}"] if message.link else []
    return title, "\n".join([*lines, *link])


def pagerduty_event(message: NoticeMessage, routing_key: str) -> dict[str, Any]:
    """Return an event; the subject's id is the dedup key, so that repeats change nothing."""
    event: dict[str, Any] = {
        "routing_key": routing_key,
        "event_action": _pagerduty_action(message),
        "dedup_key": str(message.subject_id),
        "client": CLIENT,
        "payload": {
            "summary": message.title[:PAGERDUTY_SUMMARY],
            "source": _source(message),
            "severity": PAGERDUTY_SEVERITIES.get(message.severity, "warning"),
            "timestamp": _rfc3339(message.at),
            "custom_details": {"version": message.version, "details": list(message.lines)},
        },
    }
    if message.link:
        event["client_url"] = message.link
        event["links"] = [{"href": message.link, "text": "incident"}]
    return event


def webhook_body(message: NoticeMessage) -> dict[str, Any]:
    """Return the JSON body of a webhook: type, timestamp, data."""
    return {
        "type": "test" if message.happening == "test" else f"incident.{message.happening}",
        "timestamp": _rfc3339(message.at),
        "data": {
            "id": str(message.subject_id),
            "outage_id": str(message.outage_id) if message.outage_id else None,
            "version": message.version,
            "title": message.title,
            "severity": message.severity,
            "status": message.status,
            "lines": list(message.lines),
            "link": message.link,
            "incidents": [_incident(one) for one in message.incidents[:MAX_INCIDENTS]],
        },
    }


def mail(message: NoticeMessage, target: EmailTarget) -> EmailMessage:
    """Return a mail; later ones answer the first, so that mail programs show them as one thread."""
    host = target.sender.partition("@")[2]
    root = f"<{message.notice_id}@{host}>"
    found = EmailMessage(policy=SMTP)
    title = message.title.replace("=?", "= ?")  # or the library decodes RFC 2047 words, line ends and all
    found["Subject"] = title if message.reference is None else f"Re: {title}"
    found["From"] = target.sender
    found["To"] = ", ".join(target.to)
    found["Date"] = message.at
    found["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday answers
    found["X-Signals-Key"] = message.key
    if message.reference is None:
        found["Message-ID"] = root
    else:
        found["Message-ID"] = f"<{message.key}@{host}>"
        found["In-Reply-To"] = found["References"] = root
    found.set_content(message.text + "\n")
    return found


def _pagerduty_action(message: NoticeMessage) -> Literal["trigger", "acknowledge", "resolve"]:
    if message.status == "resolved":
        return "resolve"
    return (
        "acknowledge" if message.status == "investigating" and message.happening == "updated" else "trigger"
    )


def _source(message: NoticeMessage) -> str:
    for incident in message.incidents:
        return f"{incident.project_id} {incident.environment}"
    return CLIENT


def _incident(incident: ToldIncident) -> Mapping[str, object]:
    return {
        "id": str(incident.id),
        "project_id": incident.project_id,
        "environment": incident.environment,
        "fingerprint": clean(incident.fingerprint, MAX_FINGERPRINT),
        "status": incident.status,
        "severity": incident.severity,
        "opened_at": _rfc3339(incident.opened_at),
        "resolved_at": _rfc3339(incident.resolved_at) if incident.resolved_at else None,
    }


def _rfc3339(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def _plain(text: str, limit: int) -> dict[str, object]:
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return {"type": "plain_text", "text": cut, "emoji": False}


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")[:SLACK_TEXT]


def _disarmed(text: str) -> str:
    """Part the characters that begin mentions, links and formats from what follows; people see no change."""
    parted = text.replace("://", f":{GAP}//").replace("__", f"_{GAP}_")
    return "".join(f"{one}{GAP}" if one in FORMATTING else one for one in parted)
