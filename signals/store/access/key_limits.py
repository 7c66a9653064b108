"""Limits of single keys; what is not said here is the environment's."""

from typing import LiteralString
from uuid import UUID

from signals.clients.postgres import Connection

PUT: LiteralString = """
INSERT INTO pipeline.key_limits (key_id, events_per_second, events_per_day)
SELECT id, %(events_per_second)s, %(events_per_day)s FROM project_api_keys WHERE id = %(key_id)s
ON CONFLICT (key_id) DO UPDATE
SET events_per_second = excluded.events_per_second, events_per_day = excluded.events_per_day
"""


def put(
    connection: Connection, key_id: UUID, *, events_per_second: int | None, events_per_day: int | None
) -> bool:
    """Set both limits of a key (None: the environment's, 0: none); False when there is no such key."""
    parameters = {
        "key_id": key_id,
        "events_per_second": events_per_second,
        "events_per_day": events_per_day,
    }
    return connection.execute(PUT, parameters).rowcount == 1


COPY: LiteralString = """
INSERT INTO pipeline.key_limits (key_id, events_per_second, events_per_day)
SELECT %(to)s, events_per_second, events_per_day FROM pipeline.key_limits WHERE key_id = %(of)s
"""


def copy(connection: Connection, *, of: UUID, to: UUID) -> None:
    """Give a new key the limits of another, if that has some of its own."""
    connection.execute(COPY, {"of": of, "to": to})
