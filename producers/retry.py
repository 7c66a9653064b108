"""Retry rules: retried statuses and delays. Pure: chance and the present are passed in."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from random import Random
from typing import Final

# Overload and temporary faults; any other status would repeat on the next attempt.
RETRIED_STATUSES: Final = frozenset({429, 500, 502, 503, 504})

BASE_S: Final = 0.2
CAP_S: Final = 10.0


def backoff_s(attempt: int, chance: Random) -> float:
    """Return a wait with full jitter before attempt `attempt + 1` (the first attempt is 1)."""
    return chance.uniform(0.0, min(CAP_S, BASE_S * 2.0 ** min(attempt - 1, 16)))


def retry_after_s(header: str | None, now: datetime) -> float:
    """Return the wait that a server requested, 0 when absent or malformed.

    Seconds or an HTTP date. Source: RFC 9110, section 10.2.3.
    """
    if header is None:
        return 0.0
    if header.strip().isdecimal():
        return float(header)
    try:
        instant = parsedate_to_datetime(header)
    except ValueError:
        return 0.0
    if instant.tzinfo is None:  # "-0000" in the header means UTC
        instant = instant.replace(tzinfo=UTC)
    return max(0.0, (instant - now).total_seconds())
