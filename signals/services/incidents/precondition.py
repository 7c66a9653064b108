"""The state that a caller has read, on which a change rests."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Precondition:
    """A change is made only while the subject has this `version`, and `shown` in the field it changes.

    None holds always. An empty `shown` is a field without a value.
    """

    version: int | None = None
    shown: str | None = None

    def holds_for(self, value: str) -> bool:
        """Say whether the field still has the value that was shown."""
        return self.shown in (None, value)


UNCONDITIONAL: Final = Precondition()
