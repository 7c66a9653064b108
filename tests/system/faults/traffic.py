"""The traffic of a trial: every id ever sent, and the acknowledged ones."""

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final, NamedTuple
from uuid import UUID

ROUTE: Final = "/trial"
ENVIRONMENT: Final = "prod"
CODES: Final = 6
KINDS: Final = {"error": 6, "signup": 2, "http_request": 2}
"""Weights: mostly what is counted, and something that is not."""


class Series(NamedTuple):
    """A counter's minute, as `metrics_buckets` names it."""

    metric_name: str
    fingerprint: str
    minute: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialEvent:
    """An event as a client sends it. `series` is computed here, without the product's code."""

    event_id: UUID
    body: dict[str, Any]
    series: Series | None


def trial_event(
    event_type: str, event_id: UUID, occurred_at: datetime, *, code: str = "TIMEOUT"
) -> TrialEvent:
    """Make one event; `code` matters for errors only."""
    body = {
        "event_id": str(event_id),
        "event_type": event_type,
        "occurred_at": occurred_at.isoformat(timespec="milliseconds"),
        "environment": ENVIRONMENT,
        "severity": "error" if event_type == "error" else "info",
        "message": f"{event_type} in a trial",
        "attributes": {"error_code": code, "route": ROUTE} if event_type == "error" else {"route": ROUTE},
    }
    minute = occurred_at.astimezone(UTC).replace(second=0, microsecond=0)
    if event_type == "error":
        series = Series("error_count", f"{code}|{ROUTE}|{ENVIRONMENT}", minute)
    elif event_type == "signup":
        series = Series("signup_count", f"signup|{ENVIRONMENT}", minute)
    else:
        return TrialEvent(event_id=event_id, body=body, series=None)
    return TrialEvent(event_id=event_id, body=body, series=series)


@dataclass(slots=True)
class Sent:
    """Everything a trial has sent; written by several threads.

    An id that is known but not acknowledged may have landed or not: its client never got an answer.
    """

    known: dict[UUID, TrialEvent] = field(default_factory=dict)
    acknowledged: set[UUID] = field(default_factory=set)
    refusals: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, events: Iterable[TrialEvent]) -> None:
        """Remember events before they are sent for the first time."""
        with self._lock:
            self.known |= {event.event_id: event for event in events}

    def acknowledge(self, event_ids: Iterable[UUID]) -> None:
        """Remember what was answered with success."""
        with self._lock:
            self.acknowledged |= set(event_ids)

    def refuse(self, reason: str) -> None:
        """Record an answer that makes a client drop valid events: always a fault of the product."""
        with self._lock:
            self.refusals.append(reason)


class Traffic:
    """An endless, seeded mixture of events that happen now, in batches of one to twenty."""

    def __init__(self, seed: str) -> None:
        self._random = Random(seed)
        self._lock = threading.Lock()

    def batch(self) -> list[TrialEvent]:
        """Make the next batch; may be called from several threads."""
        with self._lock:
            return [self._event() for _ in range(self._random.choice((1, 1, 5, 20)))]

    def burst(self, count: int, codes: Sequence[str]) -> list[TrialEvent]:
        """Make `count` errors that happen now, over the given codes in turn."""
        with self._lock:
            now = datetime.now(UTC)
            return [trial_event("error", self._id(), now, code=codes[n % len(codes)]) for n in range(count)]

    def _event(self) -> TrialEvent:
        (kind,) = self._random.choices(list(KINDS), weights=list(KINDS.values()))
        at = datetime.now(UTC) - timedelta(milliseconds=self._random.randrange(2_000))
        return trial_event(kind, self._id(), at, code=f"CODE_{self._random.randrange(CODES)}")

    def _id(self) -> UUID:
        return UUID(int=self._random.getrandbits(128), version=4)


def series_counts(sent: Sent, event_ids: Iterable[UUID]) -> Iterator[Series]:
    """Name the series that each of these events counts for, once an event."""
    for event_id in event_ids:
        series = sent.known[event_id].series
        if series is not None:
            yield series
