"""How many events of its daily quota each key has used, counted ahead in leased chunks."""

from datetime import date
from typing import LiteralString
from uuid import UUID

from signals.clients.postgres import Connection

LOCK: LiteralString = """
INSERT INTO pipeline.key_usage AS usage (key_id, day, events)
VALUES (%(key_id)s, %(day)s, 0)
ON CONFLICT (key_id, day) DO UPDATE SET events = usage.events
RETURNING events
"""


def lock(connection: Connection, key_id: UUID, day: date) -> int:
    """Return what is used of the day; nobody else can change it until the transaction ends."""
    (events,) = connection.execute(LOCK, {"key_id": key_id, "day": day}).fetchone() or (0,)
    return int(events)


ADD: LiteralString = """
INSERT INTO pipeline.key_usage AS usage (key_id, day, events)
VALUES (%(key_id)s, %(day)s, %(events)s)
ON CONFLICT (key_id, day) DO UPDATE SET events = usage.events + excluded.events
"""


def add(connection: Connection, key_id: UUID, day: date, events: int) -> None:
    """Count events as used, or, if negative, as given back."""
    connection.execute(ADD, {"key_id": key_id, "day": day, "events": events})
