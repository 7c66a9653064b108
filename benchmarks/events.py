"""Seeded events, canonical as ingest-api would publish them, made quickly enough for millions.

Twelve projects with 24 ways to fail and signups each are 300 keys, as many fingerprints. All keys are
equally frequent: the worst case for fan-in, since every batch then touches every fingerprint.
"""

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final

import orjson

from shared_types import Envelope, Tenancy, canonicalize, partition_key

START: Final = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)  # a whole minute; the past, so that no tick judges it
PROJECTS: Final = 12
FAILURES: Final = 24
RATE_PER_S: Final = 500  # of the events' own clock: ten minutes in 300,000, so that peers' windows close
_ID_MARK: Final = "00000000-0000-4000-8000-000000000000"
_TIME_MARK: Final = "2026-03-01T12:00:00.000Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventKind:
    """One key: its envelope as a template, of which only id and time change."""

    envelope: Envelope
    key: bytes
    template: bytes

    def at(self, event_id: str, occurred_at: datetime) -> bytes:
        """Return the record of one event."""
        instant = occurred_at.isoformat(timespec="milliseconds")[:23] + "Z"
        return self.template % (event_id.encode(), instant.encode())


def kinds(keys: int = PROJECTS * (FAILURES + 1)) -> list[EventKind]:
    """Return the first of the 300 keys, errors before signups."""
    errors = [_error(project, failure) for failure in range(FAILURES) for project in range(PROJECTS)]
    return [*errors, *(_signup(project) for project in range(PROJECTS))][:keys]


def records(
    chosen: list[EventKind], count: int, *, seed: int = 5, start: datetime = START, per_s: float = RATE_PER_S
) -> Iterator[tuple[bytes, bytes]]:
    """Make (key, value) of `count` events, kinds drawn evenly, `per_s` a second of their own clock."""
    chance = Random(seed)
    for number in range(count):
        kind = chosen[int(chance.random() * len(chosen))]
        event_id = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        yield kind.key, kind.at(event_id, start + timedelta(seconds=number / per_s))


def as_sent(record: bytes) -> dict[str, Any]:
    """Return the event as a client sends it, without the tenant, which its key determines."""
    event: dict[str, Any] = orjson.loads(record)
    return {k: v for k, v in event.items() if k not in ("org_id", "project_id", "received_at")}


def _error(project: int, failure: int) -> EventKind:
    route = f"/api/v1/resource-{failure % 8}"
    return _kind(
        project,
        {
            "event_type": "error",
            "severity": "error",
            "message": f"upstream {failure % 8} did not answer within 3000 ms",
            "attributes": {
                "route": route,
                "method": "POST",
                "status_code": 503,
                "error_code": f"UPSTREAM_TIMEOUT_{failure}",
            },
            "payload": {"trace_id": "5f2b9a3c1d7e4f60", "retry": 1},
        },
    )


def _signup(project: int) -> EventKind:
    return _kind(
        project,
        {
            "event_type": "signup",
            "message": "New customer signed up",
            "attributes": {"route": "/signup", "method": "POST", "status_code": 201},
            "payload": {"plan": "starter"},
        },
    )


def _kind(project: int, body: dict[str, object]) -> EventKind:
    attributes = body["attributes"]
    assert isinstance(attributes, dict)
    full = {**body, "attributes": {**attributes, "release": "2026.2.14", "region": "fra1"}}
    return kind_of(full, Tenancy("org_bench", f"proj_{project:02}"))


def kind_of(body: Mapping[str, object], tenancy: Tenancy) -> EventKind:
    """Return the kind of a client's event, which needs neither id nor time."""
    envelope = canonicalize(
        {**body, "event_id": _ID_MARK, "occurred_at": _TIME_MARK, "environment": "prod"},
        tenancy=tenancy,
        received_at=START + timedelta(seconds=1),
        event_id=uuid.UUID(_ID_MARK),
    )
    text = envelope.to_json().replace(b"%", b"%%")
    template = text.replace(_ID_MARK.encode(), b"%s", 1).replace(_TIME_MARK.encode(), b"%s", 1)
    return EventKind(envelope=envelope, key=partition_key(envelope).encode(), template=template)
