"""Event names that mean a signup."""

import re
from typing import Final

SIGNUP_NAMES: Final = ("Signed Up", "Sign Up", "User Signed Up", "Account Created", "Registered")
"""Names of a project that lists none itself. Source: Segment's B2B SaaS events."""

_SEPARATORS: Final = re.compile(r"[\s_-]+")


def plain_name(name: str) -> str:
    """Return a name as it is compared: without case, spaces, dashes and underscores."""
    return _SEPARATORS.sub("", name).casefold()
