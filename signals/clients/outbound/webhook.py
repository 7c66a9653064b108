"""A signed webhook, as Standard Webhooks has it: id, timestamp, and one signature a key.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import orjson

from signals.clients.outbound.http import OutboundHttp, by_status
from signals.domain.notifications.delivery import DeliveryResult
from signals.domain.notifications.messages import NoticeMessage
from signals.domain.notifications.rendering import webhook_body
from signals.domain.notifications.targets import KEY_PREFIX, WebhookTarget

NEW_KEY_BYTES: Final = 32  # Standard Webhooks asks for 24 to 64


def send_to_webhook(
    http: OutboundHttp, target: WebhookTarget, message: NoticeMessage, now: datetime
) -> DeliveryResult:
    """POST the message; the same key at every attempt lets the receiver drop repeats."""
    body = orjson.dumps(webhook_body(message))
    keys = [key.get_secret_value() for key in target.signing_keys]
    answer = http.post(target.url.get_secret_value(), body, signature_headers(message.key, body, keys, now))
    return answer if isinstance(answer, DeliveryResult) else by_status(answer)


def signature_headers(message_id: str, body: bytes, keys: Sequence[str], now: datetime) -> dict[str, str]:
    """Return the three headers; during a rotation each key signs, and the receiver needs one of them."""
    timestamp = str(int(now.timestamp()))
    content = f"{message_id}.{timestamp}.".encode() + body
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{_signature(key, content)}" for key in keys),
    }


def new_signing_key() -> str:
    """Return a random key in the form that receivers expect."""
    return KEY_PREFIX + base64.b64encode(secrets.token_bytes(NEW_KEY_BYTES)).decode()


def _signature(key: str, content: bytes) -> str:
    secret = base64.b64decode(key.removeprefix(KEY_PREFIX))
    return base64.b64encode(hmac.new(secret, content, hashlib.sha256).digest()).decode()
