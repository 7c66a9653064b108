"""Slack: one message an incident that is edited, and replies in its thread; or an incoming webhook.

Slack answers 200 with `ok: false` for most errors. Source: https://docs.slack.dev/reference/methods/chat.postMessage
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from signals.clients.outbound.http import HttpAnswer, OutboundHttp, by_status
from signals.domain.notifications.delivery import DeliveryResult
from signals.domain.notifications.messages import NoticeMessage
from signals.domain.notifications.rendering import slack_payload, slack_reply
from signals.domain.notifications.targets import SlackTarget, SlackWebhookTarget

LATER: Final = frozenset(
    {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"}
)
"""Errors after which the same call may succeed."""
LOST: Final = frozenset({"message_not_found", "cant_update_message", "edit_window_closed"})
"""The message that is to be edited is gone: a new one is posted."""
REPLIES: Final = frozenset({"worse", "reopened", "woken", "resolved"})


def send_to_slack(http: OutboundHttp, target: SlackTarget, message: NoticeMessage) -> DeliveryResult:
    """Post the message, or edit the one that `reference` names and reply in its thread when it rings."""
    payload = slack_payload(message)
    if message.reference is None:
        return _posted(_call(http, target, "chat.postMessage", payload), message)
    channel, _, posted_at = message.reference.rpartition(":")
    edited = _call(http, target, "chat.update", {**payload, "channel": channel, "ts": posted_at})
    if edited.error in LOST:
        return _posted(_call(http, target, "chat.postMessage", payload), message)
    if edited.result is not None:
        return edited.result
    if message.happening in REPLIES:
        reply = {
            "text": slack_reply(message),
            "channel": channel,
            "thread_ts": posted_at,
            "mrkdwn": False,
            "parse": "none",
        }
        replied = _call(http, target, "chat.postMessage", reply)
        if replied.result is not None:
            return replied.result
    return DeliveryResult(state="told", status=200, reference=message.reference)


def send_to_slack_webhook(
    http: OutboundHttp, target: SlackWebhookTarget, message: NoticeMessage
) -> DeliveryResult:
    """Post the message; an incoming webhook can neither edit nor reply."""
    payload = slack_payload(message)
    answer = http.post(target.url.get_secret_value(), orjson.dumps(payload), {})
    return answer if isinstance(answer, DeliveryResult) else by_status(answer)


class _Call:
    """The end of one call: `result` when the message cannot go on, `error` as Slack names it."""

    def __init__(
        self, result: DeliveryResult | None, error: str = "", body: Mapping[str, Any] | None = None
    ) -> None:
        self.result = result
        self.error = error
        self.body = body or {}


def _call(http: OutboundHttp, target: SlackTarget, method: str, payload: Mapping[str, Any]) -> _Call:
    answer = http.post(
        f"{target.api_url.rstrip('/')}/{method}",
        orjson.dumps({"channel": target.channel, **payload}),
        {
            "Authorization": f"Bearer {target.token.get_secret_value()}",
            "Content-Type": "application/json; charset=utf-8",
        },
    )
    if isinstance(answer, DeliveryResult):
        return _Call(answer)
    result = by_status(answer)
    if result.state != "told":
        return _Call(result)
    return _read(answer)


def _read(answer: HttpAnswer) -> _Call:
    try:
        body = orjson.loads(answer.body)
        error = "" if body["ok"] is True else str(body.get("error", "unknown"))[:80]
    except (ValueError, KeyError, TypeError, AttributeError):
        return _Call(
            DeliveryResult(
                state="retry", status=answer.status, error="its answer is not Slack's", is_uncertain=True
            )
        )
    if not error:
        return _Call(None, body=body)
    said = f"Slack answered {error}" if error.isprintable() else "Slack answered an error"
    state: Any = "retry" if error in LATER else "refused"
    return _Call(
        DeliveryResult(state=state, status=answer.status, error=said, retry_after=answer.retry_after), error
    )


def _posted(call: _Call, message: NoticeMessage) -> DeliveryResult:
    if call.result is not None:
        return call.result
    posted_at, channel = call.body.get("ts"), call.body.get("channel")
    if not isinstance(posted_at, str) or not isinstance(channel, str):
        return DeliveryResult(state="told", status=200, reference=message.reference)
    # Edits need the channel's id, which Slack answers, even when it was named.
    return DeliveryResult(state="told", status=200, reference=f"{channel[:32]}:{posted_at[:32]}")
