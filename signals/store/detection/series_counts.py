"""Counts by minute of many series of a project: what a preview of a rule reads. One range of the index."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, LiteralString

from signals.clients.postgres import Connection

MAX_SERIES: Final = 1_000  # of one answer (issue: 1,000 series in two seconds)


@dataclass(frozen=True, slots=True)
class CountsOfSeries:
    """A stored series' non-empty minutes since the epoch, in no order, and the events of each."""

    environment: str
    metric_name: str
    fingerprint: str
    minutes: Sequence[int]
    values: Sequence[int]


# By series as the index is ordered, so the aggregates need no sort. Arrays: rows would cost more to receive.
READ: LiteralString = """
SELECT b.environment, b.metric_name, b.fingerprint,
       array_agg((date_part('epoch', b.bucket_start) / 60)::int), array_agg(b.value),
       count(*) OVER ()
FROM metrics_buckets b
WHERE b.project_id = %(project_id)s
  AND b.environment = ANY(%(environments)s)
  AND b.metric_name = ANY(%(metric_names)s)
  AND (%(fingerprints)s::text[] IS NULL OR b.fingerprint = ANY(%(fingerprints)s))
  AND b.bucket_start >= to_timestamp(%(start)s * 60)
  AND b.bucket_start < to_timestamp(%(end)s * 60)
  AND b.bucket_seconds = 60
GROUP BY b.environment, b.metric_name, b.fingerprint
ORDER BY sum(b.value) DESC, b.environment, b.metric_name, b.fingerprint
LIMIT %(limit)s
"""


# A million rows in arrays of a thousand series: by default the server would write them to disk in between.
ROOM: LiteralString = "SELECT set_config('work_mem', '64MB', true)"


@dataclass(frozen=True, slots=True, kw_only=True)
class CountsWanted:
    """Which series, over the minutes `start <= minute < end`; None as `fingerprints` means all of them."""

    project_id: str
    environments: Sequence[str]
    metric_names: Sequence[str]
    fingerprints: Sequence[str] | None
    start: int
    end: int


def read(
    connection: Connection, wanted: CountsWanted, *, limit: int = MAX_SERIES
) -> tuple[Sequence[CountsOfSeries], int]:
    """Return the series with the most events, at most `limit`, and how many series there are in all."""
    parameters = {
        "project_id": wanted.project_id,
        "environments": list(wanted.environments),
        "metric_names": list(wanted.metric_names),
        "fingerprints": None if wanted.fingerprints is None else list(wanted.fingerprints),
        "start": wanted.start,
        "end": wanted.end,
        "limit": limit,
    }
    connection.execute(ROOM)
    rows = connection.execute(READ, parameters, binary=True).fetchall()
    return [CountsOfSeries(*row[:5]) for row in rows], rows[0][5] if rows else 0
