"""Reads recorded events, one JSON object a line, and moves them in time.

Files are read twice (survey, then plan), never held in memory.
"""

import heapq
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import orjson

from producers.plan import Planned
from producers.shop import rfc3339

# ingest-api derives the tenant from the key and sets the time of receipt.
_DROPPED: Final = ("received_at", "org_id", "project_id")
_ID_NAMESPACE: Final = uuid.UUID("8b1f0a3e-5a0e-5d0b-9b1e-6f1f6a3a7c11")  # arbitrary, never to change


@dataclass(frozen=True, slots=True)
class Recorded:
    """One recorded event and the file and line it stands on."""

    occurred_at: datetime
    origin: str
    event: dict[str, Any]


@dataclass(frozen=True, slots=True)
class MalformedLine:
    """A line that is not an event; `reason` says why, without quoting the line."""

    origin: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """Summary of one file: instants of its first and last event, and the malformed lines."""

    path: Path
    events: int
    first_at: datetime | None
    last_at: datetime | None
    malformed: list[MalformedLine]


@dataclass(frozen=True, slots=True)
class Recording:
    """A file and the shift of its instants; None leaves instants and ids as recorded."""

    path: Path
    shift: timedelta | None


@dataclass(frozen=True, slots=True)
class Course:
    """How recordings are replayed: from the instant `first_at` on, `speed` seconds per second.

    Speed None means as fast as possible.
    """

    recordings: Sequence[Recording]
    first_at: datetime
    speed: float | None


def survey(path: Path) -> Survey:
    """Read every line once.

    Raises OSError when the file cannot be read.
    """
    events, malformed = 0, []
    first_at: datetime | None = None
    last_at: datetime | None = None
    for line in _read(path):
        if isinstance(line, MalformedLine):
            malformed.append(line)
            continue
        events += 1
        first_at = line.occurred_at if first_at is None else min(first_at, line.occurred_at)
        last_at = line.occurred_at if last_at is None else max(last_at, line.occurred_at)
    return Survey(path=path, events=events, first_at=first_at, last_at=last_at, malformed=malformed)


def replay(course: Course) -> Iterator[Planned]:
    """Yield the events of all recordings merged by instant; malformed lines are left out."""
    streams = [_moved_lines(recording) for recording in course.recordings]
    for occurred_at, event in heapq.merge(*streams, key=lambda entry: entry[0]):
        elapsed = (occurred_at - course.first_at).total_seconds()
        due_s = 0.0 if course.speed is None else max(0.0, elapsed / course.speed)
        yield Planned(due_s, orjson.dumps(event))


def moved(recorded: Recorded, shift: timedelta | None) -> dict[str, Any]:
    """Return the event as it is sent.

    Shifted events get an id derived from the recorded one and the shift: a repeated request is still
    recognized, a second replay counts anew. An event without id gets one from its file and line.
    """
    event = {name: value for name, value in recorded.event.items() if name not in _DROPPED}
    event_id = event.get("event_id") or str(uuid.uuid5(_ID_NAMESPACE, recorded.origin))
    if shift is None:
        return {**event, "event_id": event_id}
    shifted_id = uuid.uuid5(_ID_NAMESPACE, f"{event_id} {shift.total_seconds()}")
    return {**event, "event_id": str(shifted_id), "occurred_at": rfc3339(recorded.occurred_at + shift)}


def _moved_lines(recording: Recording) -> Iterator[tuple[datetime, dict[str, Any]]]:
    for line in _read(recording.path):
        if isinstance(line, Recorded):
            yield line.occurred_at + (recording.shift or timedelta()), moved(line, recording.shift)


def _read(path: Path) -> Iterator[Recorded | MalformedLine]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield _parse(line, f"{path.name}:{number}")


def _parse(line: bytes, origin: str) -> Recorded | MalformedLine:
    try:
        event = orjson.loads(line)
    except orjson.JSONDecodeError:
        return MalformedLine(origin, "no JSON")
    if not isinstance(event, dict):
        return MalformedLine(origin, "not a JSON object")
    try:
        occurred_at = datetime.fromisoformat(str(event.get("occurred_at")))
    except ValueError:
        return MalformedLine(origin, "occurred_at is missing or not a timestamp")
    if occurred_at.tzinfo is None:
        return MalformedLine(origin, "occurred_at has no offset")
    try:
        return Recorded(occurred_at.astimezone(UTC), origin, event)
    except OverflowError:
        return MalformedLine(origin, "occurred_at is out of range")
