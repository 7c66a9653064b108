"""Reads what the answers of foreign HTTP servers mean for a retry."""

from collections.abc import Mapping
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Final

# A later attempt may succeed: request timeout, conflict, too early, too many requests, any 5xx.
RETRIED_STATUSES: Final = frozenset({408, 409, 425, 429})


def may_succeed_later(status: int) -> bool:
    """Whether the same request may be accepted later."""
    return status in RETRIED_STATUSES or status >= 500


def retry_after_of(headers: Mapping[str, str]) -> timedelta | None:
    """Read `Retry-After` in seconds or as a date, which is compared with the server's own `Date`.

    Names of headers are in lower case, or the mapping does not mind. Source:
    https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
    """
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return timedelta(seconds=min(int(value[:9]), 86_400))
    try:
        return max(timedelta(), parsedate_to_datetime(value) - parsedate_to_datetime(headers["date"]))
    except (ValueError, TypeError, KeyError, OverflowError):
        return None  # absent or unreadable: our own backoff decides
