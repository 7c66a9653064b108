"""Event names that mean a signup."""

import re
from functools import lru_cache
from typing import Final

SIGNUP_NAMES: Final = ("Signed Up", "Sign Up", "User Signed Up", "Account Created", "Registered")
"""Names of a project that lists none itself. Source: Segment's B2B SaaS events."""

MAX_KNOWN_CHARS: Final = 64  # of a name that is remembered: 4,096 of them take 1 MB
_SEPARATORS: Final = re.compile(r"[\s_-]+")


def plain_name(name: str) -> str:
    """Return a name as it is compared: without case, spaces, dashes and underscores."""
    return _plain_name(name) if len(name) <= MAX_KNOWN_CHARS else _SEPARATORS.sub("", name).casefold()


@lru_cache(maxsize=4096)
def _plain_name(name: str) -> str:
    """Remember short names: those of a program come with every call."""
    return _SEPARATORS.sub("", name).casefold()
