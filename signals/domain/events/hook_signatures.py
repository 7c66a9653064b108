"""Checks the signatures of deploy hooks: an HMAC of the raw body under a shared secret.

Sources: GitHub "Validating webhook deliveries", Vercel "Securing webhooks".
"""

import hmac
from collections.abc import Iterable
from hashlib import sha1, sha256


def is_signed_by_github(body: bytes, signature: str, secret: str) -> bool:
    """Whether `X-Hub-Signature-256` is that of the raw body."""
    expected = hmac.new(secret.encode(), body, sha256).hexdigest()
    return _is_equal(f"sha256={expected}", signature)


def is_signed_by_vercel(body: bytes, signature: str, secrets: Iterable[str]) -> bool:
    """Whether `x-vercel-signature` is that of the raw body under one of the secrets."""
    return any(
        _is_equal(hmac.new(secret.encode(), body, sha1).hexdigest(), signature)
        for secret in secrets
        if secret
    )


def _is_equal(expected: str, given: str) -> bool:
    return hmac.compare_digest(expected.encode(), given.strip().encode("utf-8", "replace"))
