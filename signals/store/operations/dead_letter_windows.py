"""The newest dead letters of each partition a consumer group reads; moved with the offset."""

from collections.abc import Collection, Mapping, Sequence
from typing import LiteralString

import orjson

from signals.clients.postgres import Connection

LOAD: LiteralString = """
SELECT partition, dead_offsets FROM pipeline.dead_letter_windows
WHERE consumer_group = %(group)s AND topic = %(topic)s AND partition = ANY(%(partitions)s)
"""


def load(
    connection: Connection, *, group: str, topic: str, partitions: Collection[int]
) -> Mapping[int, Sequence[int]]:
    """Return the offsets of the newest dead letters of each partition, ascending; empty without any."""
    parameters = {"group": group, "topic": topic, "partitions": sorted(partitions)}
    stored: dict[int, list[int]] = dict(connection.execute(LOAD, parameters).fetchall())
    return {partition: stored.get(partition, []) for partition in partitions}


KEEP: LiteralString = """
INSERT INTO pipeline.dead_letter_windows (consumer_group, topic, partition, dead_offsets)
SELECT %(group)s, %(topic)s, w.partition, w.dead_offsets
FROM json_to_recordset(%(windows)s::json) AS w(partition int, dead_offsets bigint[])
ORDER BY w.partition
ON CONFLICT (consumer_group, topic, partition) DO UPDATE SET dead_offsets = excluded.dead_offsets
"""


def keep(connection: Connection, *, group: str, topic: str, windows: Mapping[int, Sequence[int]]) -> None:
    """Store windows in the transaction that moves the offsets past these dead letters."""
    if windows:
        rows = [{"partition": number, "dead_offsets": offsets} for number, offsets in windows.items()]
        connection.execute(KEEP, {"group": group, "topic": topic, "windows": orjson.dumps(rows).decode()})
