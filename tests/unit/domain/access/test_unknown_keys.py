"""Names of unknown keys stay few, however many keys a guesser tries."""

from datetime import timedelta

from signals.domain.access.unknown_keys import MANY, MAX_HINTS, UnknownKeys
from tests.support.events import NOON


def test_flood_of_guesses_is_one_line_a_minute() -> None:
    unknown = UnknownKeys()
    hints = {unknown.hint(f"{number:08d}", NOON) for number in range(0, 10**8, 10**5)}
    assert len(hints) == MAX_HINTS + 1
    assert MANY in hints
    assert unknown.hint("new1", NOON) == MANY
    assert unknown.hint("new1", NOON + timedelta(minutes=1)) == "new1…"
