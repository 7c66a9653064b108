"""One sender for every kind of destination."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import orjson

from signals.clients.outbound.apprise_process import OutboundApprise
from signals.clients.outbound.http import OutboundHttp, by_status
from signals.clients.outbound.slack import send_to_slack, send_to_slack_webhook
from signals.clients.outbound.smtp import OutboundMail
from signals.clients.outbound.webhook import send_to_webhook
from signals.domain.notifications.addresses import AllowList, InvalidAllowListError
from signals.domain.notifications.delivery import DeliveryResult
from signals.domain.notifications.messages import NoticeMessage
from signals.domain.notifications.rendering import pagerduty_event
from signals.domain.notifications.targets import (
    AppriseTarget,
    EmailTarget,
    PagerDutyTarget,
    SlackTarget,
    SlackWebhookTarget,
    Target,
    WebhookTarget,
)
from signals.errors import SettingsError
from signals.settings import NotificationSettings


class Sender:
    """Sends one message to one target; may be used by several threads."""

    def __init__(self, allowed: AllowList, *, timeout_s: float, tls: ssl.SSLContext | None = None) -> None:
        trust = tls or ssl.create_default_context()
        self.allowed = allowed
        self._http = OutboundHttp(allowed, trust, timeout_s=timeout_s)
        self._mail = OutboundMail(allowed, trust, timeout_s=timeout_s)
        self._apprise = OutboundApprise(allowed, timeout_s=timeout_s)

    @contextmanager
    def keeping_connections(self) -> Iterator[None]:
        """Inside the block, let HTTP messages that follow each other share connections."""
        with self._http.keeping():
            yield

    def send(self, target: Target, message: NoticeMessage, now: datetime) -> DeliveryResult:
        """Make one attempt; every failure is a result, not an exception."""
        match target:
            case WebhookTarget():
                return send_to_webhook(self._http, target, message, now)
            case EmailTarget():
                return self._mail.send(target, message)
            case SlackTarget():
                return send_to_slack(self._http, target, message)
            case SlackWebhookTarget():
                return send_to_slack_webhook(self._http, target, message)
            case AppriseTarget():
                return self._apprise.send(target, message)
            case PagerDutyTarget():
                event = pagerduty_event(message, target.routing_key.get_secret_value())
                answer = self._http.post(target.api_url, orjson.dumps(event), {})
                return answer if isinstance(answer, DeliveryResult) else by_status(answer)


def open_sender(settings: NotificationSettings) -> Sender:
    """Return a sender as the settings say.

    Raises:
        SettingsError: when `SIGNALS_NOTIFY_ALLOW` cannot be understood.
    """
    try:
        allowed = AllowList.parse(settings.signals_notify_allow)
    except InvalidAllowListError as error:
        raise SettingsError(f"SIGNALS_NOTIFY_ALLOW: {error}") from error
    return Sender(allowed, timeout_s=settings.signals_notify_timeout_s)
