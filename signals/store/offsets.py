"""The truth about what was counted: one offset a partition, moved by compare-and-set."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

import orjson

from signals.clients.postgres import Connection


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
LOAD: LiteralString = """
SELECT partition, next_offset, updated_at FROM pipeline.offsets
WHERE consumer_group = %(group)s AND topic = %(topic)s AND partition = ANY(%(partitions)s)
"""


def load(
    connection: Connection, *, group: str, topic: str, partitions: Collection[int]
) -> Mapping[int, StoredOffset]:
    """Return the stored offset of each partition; a partition never seen starts at 0."""
    parameters = {"group": group, "topic": topic, "partitions": sorted(partitions)}
    connection.execute(ENSURE, parameters)
    rows = connection.execute(LOAD, parameters).fetchall()
    return {
        partition: StoredOffset(next_offset=offset, updated_at=updated_at)
        for partition, offset, updated_at in rows
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


def advance(connection: Connection, *, group: str, topic: str, moves: Collection[OffsetMove]) -> int:
    """Move offsets that still stand where expected; return how many did (fewer than given: fenced)."""
    rows = [
        {"partition": m.partition, "expected_offset": m.expected_offset, "next_offset": m.next_offset}
        for m in moves
    ]
    parameters = {"group": group, "topic": topic, "moves": orjson.dumps(rows).decode()}
    return connection.execute(ADVANCE, parameters).rowcount
