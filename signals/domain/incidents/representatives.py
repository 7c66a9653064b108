"""Chooses the few events that stand for an incident in a minute."""

from collections.abc import Sequence
from typing import Final

from shared_types import Envelope

PER_MINUTE: Final = 3  # a summary reads 50: a quarter hour of them
KEPT_PER_MINUTE: Final = 24  # how many of a batch's events a choice is made from


def choose(events: Sequence[Envelope], places: int) -> list[Envelope]:
    """Return up to `places` events, the most diverse first: new release, status or message counts."""
    chosen: list[Envelope] = []
    rest: list[Envelope] = []
    traits: set[tuple[object, ...]] = set()
    for event in events:
        trait = (event.attributes.release, event.attributes.status_code, event.message, event.severity)
        if trait in traits:
            rest.append(event)
        else:
            traits.add(trait)
            chosen.append(event)
    return (chosen + rest)[: max(0, places)]
