"""Event names that mean a signup."""

import re
from typing import Final

SIGNUP_NAMES: Final = ("Signed Up", "Sign Up", "User Signed Up", "Account Created", "Registered")
"""Segment's names for it. Source: Segment's B2B SaaS events."""

_SEPARATORS: Final = re.compile(r"[\s_-]+")


def _plain(name: str) -> str:
    return _SEPARATORS.sub("", name).casefold()


_PLAIN: Final = frozenset(map(_plain, SIGNUP_NAMES))


def is_signup(name: str) -> bool:
    """Whether the name stands in the list, compared without case, spaces, dashes and underscores."""
    return _plain(name) in _PLAIN
