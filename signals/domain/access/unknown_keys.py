"""Names unknown keys for the ledger: few names a minute, however many keys a guesser tries."""

from datetime import datetime
from typing import Final

from signals.domain.access.api_keys import key_hint

MAX_HINTS: Final = 20  # guess: distinct keys a minute and replica; a flood of guesses is one line
MANY: Final = "(many)"


class UnknownKeys:
    """The hints of the current minute; holds `MAX_HINTS` of them at most."""

    def __init__(self) -> None:
        self._minute: datetime | None = None
        self._hints: set[str] = set()

    def hint(self, key: str, now: datetime) -> str:
        """Return the beginning of the key, or `(many)` when this minute has seen too many keys."""
        minute = now.replace(second=0, microsecond=0)
        if minute != self._minute:
            self._minute, self._hints = minute, set()
        hint = key_hint(key)
        if hint not in self._hints:
            if len(self._hints) >= MAX_HINTS:
                return MANY
            self._hints.add(hint)
        return hint
