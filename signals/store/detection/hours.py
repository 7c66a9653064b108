"""Whole hours of watched series: read when an hour closes, written in the batch's transaction."""

from collections.abc import Collection, Mapping
from typing import LiteralString

import orjson

from signals.clients.postgres import Connection

HourValues = tuple[int, int, int, int, bool]
"""Events, clean minutes, events in these, and events of the busiest five minutes (0: not known).

The last one says whether it lay more than a day after the beginning of its outage.
"""

# The lateral aggregate stays whole: probes by key, with any statistics.
READ: LiteralString = """
SELECT r.series_id, found.hours, found.values, found.minutes, found.clean, found.peaks, found.long
FROM json_to_recordset(%(rows)s::json) AS r(series_id bigint, hours bigint[])
CROSS JOIN LATERAL (
    SELECT array_agg((extract(epoch FROM h.hour_start)::bigint / 3600)::int) AS hours,
           array_agg(h.value) AS values, array_agg(h.clean_minutes) AS minutes,
           array_agg(h.clean_value) AS clean, array_agg(h.peak) AS peaks,
           array_agg(h.is_long) AS long
    FROM pipeline.metrics_hours h
    WHERE h.series_id = r.series_id
      AND h.hour_start = ANY (ARRAY(SELECT to_timestamp(hour * 3600) FROM unnest(r.hours) AS hour))
) AS found
WHERE found.hours IS NOT NULL
"""


def read(
    connection: Connection, wanted: Mapping[int, Collection[int]]
) -> Mapping[int, Mapping[int, HourValues]]:
    """Return the stored ones of the wanted hours (since the epoch) of each series id."""
    rows = [{"series_id": series_id, "hours": sorted(hours)} for series_id, hours in wanted.items()]
    found = connection.execute(READ, {"rows": orjson.dumps(rows).decode()})
    return {
        series_id: dict(zip(hours, zip(*values, strict=True), strict=True))
        for series_id, hours, *values in found
    }


WRITE: LiteralString = """
INSERT INTO pipeline.metrics_hours (series_id, hour_start, value, clean_minutes, clean_value, peak, is_long)
SELECT r.series_id, to_timestamp(r.hour * 3600), r.value, r.minutes, r.clean, r.peak, r.is_long
FROM json_to_recordset(%(rows)s::json) AS r(series_id bigint, hour bigint, value int, minutes int, clean int,
     peak int, is_long boolean)
ORDER BY r.series_id, r.hour
ON CONFLICT (series_id, hour_start) DO UPDATE SET
    value = excluded.value, clean_minutes = excluded.clean_minutes, clean_value = excluded.clean_value,
    peak = excluded.peak, is_long = excluded.is_long
"""


def write(connection: Connection, hours: Mapping[tuple[int, int], HourValues]) -> None:
    """Store hours by (series id, hour since the epoch), over older values."""
    rows = [
        {
            "series_id": series_id,
            "hour": hour,
            "value": value,
            "minutes": minutes,
            "clean": clean,
            "peak": peak,
            "is_long": is_long,
        }
        for (series_id, hour), (value, minutes, clean, peak, is_long) in hours.items()
    ]
    connection.execute(WRITE, {"rows": orjson.dumps(rows).decode()})


# One that has no row was clean and without events. Of an hour with clean and other minutes, the minutes of
# older outages are not known any more: those events count as clean.
ADD_LATE: LiteralString = """
INSERT INTO pipeline.metrics_hours AS h (series_id, hour_start, value, clean_minutes, clean_value, late)
SELECT r.series_id, to_timestamp(r.hour * 3600), r.events, 60, r.events, r.events
FROM json_to_recordset(%(rows)s::json) AS r(series_id bigint, hour bigint, events int, clean int)
ORDER BY r.series_id, r.hour
ON CONFLICT (series_id, hour_start) DO UPDATE SET
    value = h.value + excluded.value, late = h.late + excluded.late,
    clean_value = h.clean_value + CASE h.clean_minutes
        WHEN 60 THEN excluded.value WHEN 0 THEN 0
        ELSE (SELECT r.clean
              FROM json_to_recordset(%(rows)s::json) AS r(series_id bigint, hour bigint, clean int)
              WHERE r.series_id = h.series_id AND to_timestamp(r.hour * 3600) = h.hour_start) END
RETURNING series_id, (extract(epoch FROM hour_start)::bigint / 3600)::int, value, late, clean_minutes
"""


def add_late(
    connection: Connection, late: Mapping[tuple[int, int], tuple[int, int]]
) -> Mapping[tuple[int, int], tuple[int, int, int]]:
    """Add late events to hours by (series id, hour since the epoch): all, and those that may be clean.

    Returns, of each hour, its events, how many of them ever came late, and its clean minutes.
    """
    rows = [
        {"series_id": series_id, "hour": hour, "events": events, "clean": clean}
        for (series_id, hour), (events, clean) in late.items()
    ]
    found = connection.execute(ADD_LATE, {"rows": orjson.dumps(rows).decode()})
    return {(series_id, hour): (value, late, minutes) for series_id, hour, value, late, minutes in found}


FORGET: LiteralString = """
DELETE FROM pipeline.metrics_hours h
USING json_to_recordset(%(rows)s::json) AS r(series_id bigint, first bigint)
WHERE h.series_id = r.series_id AND h.series_id = ANY(%(ids)s) AND h.hour_start < to_timestamp(r.first * 3600)
"""


def forget(connection: Connection, before: Mapping[int, int]) -> None:
    """Delete the hours of series before the one from which their history begins again."""
    rows = [{"series_id": series_id, "first": first} for series_id, first in before.items()]
    connection.execute(FORGET, {"rows": orjson.dumps(rows).decode(), "ids": list(before)})
