"""The truth about what was handled: one offset a partition and group, moved by compare-and-set."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

import orjson

from signals.clients.postgres import Connection
from signals.domain.operations.watermark import Barrier
from signals.errors import Fenced


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredOffset:
    """Where a partition is to be continued, and when that was last written."""

    next_offset: int
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetMove:
    """A compare-and-set: `expected_offset` must be stored, `next_offset` replaces it."""

    partition: int
    expected_offset: int
    next_offset: int


ENSURE: LiteralString = """
INSERT INTO pipeline.offsets (consumer_group, topic, partition, next_offset)
SELECT %(group)s, %(topic)s, unnest(%(partitions)s::int[]), 0
ON CONFLICT DO NOTHING
"""


def ensure(connection: Connection, *, group: str, topic: str, partitions: Collection[int]) -> None:
    """Have a row for each partition: an unread partition holds the whole group's watermark."""
    connection.execute(ENSURE, {"group": group, "topic": topic, "partitions": sorted(partitions)})


LOAD: LiteralString = """
SELECT partition, next_offset, updated_at FROM pipeline.offsets
WHERE consumer_group = %(group)s AND topic = %(topic)s AND partition = ANY(%(partitions)s)
"""


def load(
    connection: Connection, *, group: str, topic: str, partitions: Collection[int]
) -> Mapping[int, StoredOffset]:
    """Return the stored offset of each partition; a partition never seen starts at 0."""
    parameters = {"group": group, "topic": topic, "partitions": sorted(partitions)}
    ensure(connection, group=group, topic=topic, partitions=partitions)
    rows = connection.execute(LOAD, parameters).fetchall()
    return {
        partition: StoredOffset(next_offset=offset, updated_at=updated_at)
        for partition, offset, updated_at in rows
    }


OF_TOPIC: LiteralString = """
SELECT consumer_group, partition, next_offset, updated_at FROM pipeline.offsets WHERE topic = %(topic)s
"""


def of_topic(connection: Connection, *, topic: str) -> Mapping[tuple[str, int], StoredOffset]:
    """Return the stored offsets of a topic by group and partition."""
    rows = connection.execute(OF_TOPIC, {"topic": topic}).fetchall()
    return {
        (group, partition): StoredOffset(next_offset=offset, updated_at=updated_at)
        for group, partition, offset, updated_at in rows
    }


ADVANCE: LiteralString = """
WITH moves AS (
    SELECT m.partition, m.expected_offset, m.next_offset
    FROM json_to_recordset(%(moves)s::json) AS m(partition int, expected_offset bigint, next_offset bigint)
), held AS (
    SELECT o.partition, m.next_offset
    FROM pipeline.offsets o JOIN moves m ON m.partition = o.partition AND m.expected_offset = o.next_offset
    WHERE o.consumer_group = %(group)s AND o.topic = %(topic)s
    ORDER BY o.partition
    FOR UPDATE OF o
)
UPDATE pipeline.offsets o SET next_offset = held.next_offset, updated_at = now()
FROM held
WHERE o.consumer_group = %(group)s AND o.topic = %(topic)s AND o.partition = held.partition
"""


def advance(connection: Connection, *, group: str, topic: str, moves: Collection[OffsetMove]) -> None:
    """Move offsets, all of which must still stand where expected.

    Raises:
        Fenced: when one does not; the caller's transaction must not be committed.
    """
    rows = [
        {"partition": m.partition, "expected_offset": m.expected_offset, "next_offset": m.next_offset}
        for m in moves
    ]
    parameters = {"group": group, "topic": topic, "moves": orjson.dumps(rows).decode()}
    if connection.execute(ADVANCE, parameters).rowcount != len(rows):
        raise Fenced("another consumer moved these offsets")


# True from any process: what lies below the stored offset is handled, so this needs no fence.
COMPLETE: LiteralString = """
UPDATE pipeline.offsets o SET complete_until = greatest(o.complete_until, b.noted_at)
FROM json_to_recordset(%(barriers)s::json) AS b(partition int, log_end bigint, noted_at timestamptz)
WHERE o.consumer_group = %(group)s AND o.topic = %(topic)s AND o.partition = b.partition
  AND o.next_offset >= b.log_end
"""


def complete(connection: Connection, *, group: str, topic: str, reached: Mapping[int, Barrier]) -> int:
    """Note that everything appended before these barriers is handled; return how many that is true of."""
    rows = [
        {"partition": partition, "log_end": barrier.log_end, "noted_at": barrier.noted_at}
        for partition, barrier in sorted(reached.items())
    ]
    parameters = {"group": group, "topic": topic, "barriers": orjson.dumps(rows).decode()}
    return connection.execute(COMPLETE, parameters).rowcount


WATERMARK: LiteralString = """
SELECT CASE WHEN bool_and(complete_until IS NOT NULL) THEN min(complete_until) END
FROM pipeline.offsets WHERE consumer_group = %(group)s AND topic = %(topic)s
"""


def complete_until(connection: Connection, *, group: str, topic: str) -> datetime | None:
    """Return the instant before which the group has handled everything, None while unknown."""
    row = connection.execute(WATERMARK, {"group": group, "topic": topic}).fetchone()
    assert row is not None
    found: datetime | None = row[0]
    return found
