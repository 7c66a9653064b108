"""The values that the events of an incident share, by attribute."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

ATTRIBUTES: Final = ("release", "region", "status_code", "method", "customer_id", "error_code", "route")
"""The attributes to compare, most telling first."""
MAX_VALUES: Final = 3  # of one attribute
LEAST_SHARE: Final = 0.2  # guess: a value of every fifth event is worth a line


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedValue:
    """A value and the share of all events, 0 to 1, that have it."""

    value: str
    share: float


def shared_values(events: Sequence[Mapping[str, object]]) -> dict[str, list[SharedValue]]:
    """Return the frequent values of each attribute, most frequent first, of attributes that have some."""
    found = {}
    for name in ATTRIBUTES:
        counts = Counter(str(event[name]) for event in events if event.get(name) not in (None, ""))
        frequent = [
            SharedValue(value=value, share=count / len(events))
            for value, count in counts.most_common(MAX_VALUES)
            if count / len(events) >= LEAST_SHARE
        ]
        if frequent:
            found[name] = frequent
    return found
