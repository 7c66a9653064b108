"""Passwords of people: which ones are accepted, and how often a wrong one may be tried."""

import hashlib
import ipaddress
import unicodedata
from datetime import timedelta
from typing import Final
from uuid import UUID

from signals.domain.access.limits import TokenBucket

MIN_PASSWORD: Final = 12  # characters; guess: NIST asks for 8 beside a second factor and 15 without one
MAX_PASSWORD: Final = 200  # characters; a passphrase fits, a body that only costs time does not
MIN_DISTINCT: Final = 5  # different characters; guess: refuses aaaaaaaaaaaa and 121212121212
FRESH: Final = timedelta(minutes=15)
"""For so long after a sign-in by link or provider a password is set without the one before."""
BROWSER_KNOWN_FOR: Final = timedelta(days=180)

FAILURES: Final = TokenBucket(burst=10, refill_per_s=10 / 900)
"""Failed attempts of one address, account or known browser: ten at once, ten a quarter of an hour (guess)."""


def normal_password(text: str) -> str:
    """Return the one form of a password that every keyboard and form gives: NFKC, no space around it."""
    return unicodedata.normalize("NFKC", text).strip()


def password_fault(password: str, *, email: str, name: str) -> str | None:
    """Say why a password in its normal form is refused, None for one that is accepted.

    Length is what counts; rules about kinds of characters are not made.
    Source: https://pages.nist.gov/800-63-4/sp800-63b.html#passwordver
    """
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        return f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters"
    if not password.isprintable():
        return "a password has no control characters"
    lower = password.casefold()
    if len(set(lower)) < MIN_DISTINCT:
        return f"a password has at least {MIN_DISTINCT} different characters"
    if lower in {email.casefold(), name.casefold(), email.partition("@")[0].casefold() * 2}:
        return "a password is not the address or the name"
    return None


def account_bucket(email: str) -> str:
    """Name the bucket of an account, known or not; a hash, as the address is personal."""
    return f"sign-in:account:{hashlib.sha256(email.casefold().encode('utf-8', 'replace')).hexdigest()[:32]}"


def address_bucket(address: str) -> str:
    """Name the bucket of where a request came from: an IPv4 address, or the /64 network of an IPv6 one."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return f"sign-in:{address}"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return f"sign-in:{parsed.ipv4_mapped}"
        return f"sign-in:{ipaddress.ip_network((parsed, 64), strict=False)}"
    return f"sign-in:{parsed}"


def browser_bucket(token_digest: str) -> str:
    """Name the bucket of a browser that knows an account, by the hash of its token."""
    return f"sign-in:browser:{token_digest[:32]}"


def session_bucket(session_id: UUID) -> str:
    """Name the bucket of a session whose owner is asked for the password again."""
    return f"sign-in:session:{session_id}"
