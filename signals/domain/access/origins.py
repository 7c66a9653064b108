"""Which pages may use a public key: a list of origins, compared with the Origin header of a request.

A browser writes that header itself, so the list stops copies of a page; a script may write anything into it.
Source: https://www.rfc-editor.org/rfc/rfc6454#section-7.
"""

import re
from collections.abc import Sequence
from typing import Final

MAX_ORIGINS: Final = 50  # guess: of one key
NO_ORIGIN: Final = "null"  # what a page from a file or in a sandbox sends

_ORIGIN: Final = re.compile(
    r"(?:[a-z][a-z0-9+.-]*://)?"  # any scheme when left out
    r"(?:\*\.)?[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?"
    r"(?::\d{1,5})?|(?:[a-z][a-z0-9+.-]*://)?\[[0-9a-f:.]+\](?::\d{1,5})?"
)


def origin_pattern(text: str) -> str | None:
    """Return an entry of the list as it is stored, None when it is none.

    An entry is `https://shop.example`, `https://*.shop.example`, the same without a scheme, or `null`.
    """
    pattern = text.strip().lower().rstrip("/")
    return pattern if len(pattern) <= 255 and _ORIGIN.fullmatch(pattern) else None


def is_allowed(origin: str, patterns: Sequence[str]) -> bool:
    """Whether a page of this origin may send; an empty list allows every page."""
    lowered = origin.strip().lower()
    return not patterns or any(_matches(lowered, pattern) for pattern in patterns)


def _matches(origin: str, pattern: str) -> bool:
    if "://" not in pattern and origin != NO_ORIGIN:
        origin = origin.partition("://")[2]
    scheme, star, domain = pattern.partition("*.")
    if not star:
        return origin == pattern
    # Any subdomain, however deep, but not the domain itself.
    return origin.startswith(scheme) and origin.endswith(f".{domain}") and "/" not in origin[len(scheme) :]
