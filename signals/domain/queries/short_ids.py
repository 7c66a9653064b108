"""Ids as people write them: whole, by their first digits, or as `latest`."""

import re
from typing import Final
from uuid import UUID

LATEST: Final = "latest"
MIN_DIGITS: Final = 4  # guess: fewer are a typing error rather than an id
_BEGINNING: Final = re.compile(r"[0-9a-f]{4,32}", re.ASCII)


def id_range(text: str) -> tuple[UUID, UUID] | None:
    """Return the lowest and the highest id that begins like the text, None when no id does."""
    digits = text.lower().replace("-", "")
    if not _BEGINNING.fullmatch(digits):
        return None
    return UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
