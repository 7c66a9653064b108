"""Events a minute of the series of own rules: set-based increments, and bounded range reads by key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import LiteralString

import orjson

from signals.clients.postgres import Connection

# Rows arrive sorted by the whole key: concurrent writers then lock in one order.
INCREMENT: LiteralString = """
INSERT INTO pipeline.rule_minutes AS m (series_id, minute_at, value, whole)
SELECT r.series_id, to_timestamp(r.minute * 60), r.value, r.whole
FROM json_to_recordset(%(rows)s::json) AS r(series_id bigint, minute bigint, value int, whole int)
ON CONFLICT (series_id, minute_at)
DO UPDATE SET value = m.value + excluded.value, whole = m.whole + excluded.whole
"""


def increment(connection: Connection, events: Mapping[tuple[int, int], tuple[int, int]]) -> None:
    """Add the events, of numerator and denominator, of each (series id, minute since the epoch)."""
    rows = [
        {"series_id": series_id, "minute": minute, "value": value, "whole": whole}
        for (series_id, minute), (value, whole) in sorted(events.items())
    ]
    connection.execute(INCREMENT, {"rows": orjson.dumps(rows).decode()})


@dataclass(frozen=True, slots=True)
class MinuteRange:
    """The minutes `start <= minute < end` of one series."""

    series_id: int
    start: int
    end: int


# The lateral aggregate stays whole: one range scan of the key a series, with any statistics.
READ: LiteralString = """
SELECT r.ordinal, found.minutes, found.values, found.wholes
FROM json_to_recordset(%(ranges)s::json) AS r(ordinal int, series_id bigint, first_minute bigint,
     end_minute bigint)
CROSS JOIN LATERAL (
    SELECT array_agg((extract(epoch FROM m.minute_at)::bigint / 60)::int) AS minutes,
           array_agg(m.value) AS values, array_agg(m.whole) AS wholes
    FROM pipeline.rule_minutes m
    WHERE m.series_id = r.series_id AND m.minute_at >= to_timestamp(r.first_minute * 60)
      AND m.minute_at < to_timestamp(r.end_minute * 60)
) AS found
WHERE found.minutes IS NOT NULL
"""


def read(
    connection: Connection, ranges: Sequence[MinuteRange]
) -> list[tuple[dict[int, int], dict[int, int]]]:
    """Return, for each range, the events of its non-empty minutes, and those of the denominator."""
    found: list[tuple[dict[int, int], dict[int, int]]] = [({}, {}) for _ in ranges]
    rows = [
        {"ordinal": ordinal, "series_id": one.series_id, "first_minute": one.start, "end_minute": one.end}
        for ordinal, one in enumerate(ranges)
    ]
    for ordinal, minutes, values, wholes in connection.execute(READ, {"ranges": orjson.dumps(rows).decode()}):
        found[ordinal] = (
            {minute: value for minute, value in zip(minutes, values, strict=True) if value},
            {minute: whole for minute, whole in zip(minutes, wholes, strict=True) if whole},
        )
    return found
