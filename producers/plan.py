"""Planned events, their times, and their grouping into requests. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

MAX_BATCH_BYTES: Final = 4 * 1024 * 1024  # half of what ingest-api accepts
LINGER_S: Final = 0.25  # guess: acceptable lag of a live view


@dataclass(frozen=True, slots=True)
class Planned:
    """One event as JSON, to be sent `due_s` seconds after the run began; negative means history."""

    due_s: float
    body: bytes


@dataclass(frozen=True, slots=True)
class Batch:
    """Events of one request; `due_s` is when the last of them is due."""

    due_s: float
    bodies: list[bytes]

    @property
    def is_history(self) -> bool:
        """Whether the events lie before the run: sent at once, one request after the other."""
        return self.due_s < 0


def batched(plan: Iterable[Planned], max_events: int) -> Iterator[Batch]:
    """Group neighbours: at most `max_events`, MAX_BATCH_BYTES, and LINGER_S between first and last."""
    bodies: list[bytes] = []
    size_bytes, first_s, last_s = 0, 0.0, 0.0
    for planned in plan:
        lingers = planned.due_s > 0 and planned.due_s - max(first_s, 0.0) > LINGER_S
        is_full = len(bodies) >= max_events or size_bytes + len(planned.body) > MAX_BATCH_BYTES
        if bodies and (lingers or is_full or (first_s < 0 <= planned.due_s)):
            yield Batch(last_s, bodies)
            bodies, size_bytes = [], 0
        if not bodies:
            first_s = planned.due_s
        bodies.append(planned.body)
        size_bytes += len(planned.body) + 1
        last_s = planned.due_s
    if bodies:
        yield Batch(last_s, bodies)
