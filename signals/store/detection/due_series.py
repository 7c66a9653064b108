"""Series of the rules that people wrote, as the clock sees them: woken by events, judged when due, saved."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import LiteralString, NamedTuple

import msgspec

from signals.clients.postgres import Connection
from signals.domain.detection.buckets import Series

# Locked in one order, and before a tick may let a series sleep: no event is missed in between.
WAKE_LOCK: LiteralString = """
SELECT t.series_id, t.is_due, t.state IS NULL, floor(extract(epoch FROM t.judged_at) / 60)::bigint
FROM pipeline.rule_state t WHERE t.series_id = ANY(%(ids)s) ORDER BY t.series_id FOR UPDATE
"""
WAKE: LiteralString = """
UPDATE pipeline.rule_state t
SET is_due = true, judged_at = CASE WHEN t.state IS NULL
    THEN least(t.judged_at, to_timestamp((r.minute - 1) * 60)) ELSE t.judged_at END
FROM unnest(%(ids)s::bigint[], %(minutes)s::bigint[]) AS r(series_id, minute)
WHERE t.series_id = r.series_id AND t.series_id = ANY(%(ids)s)
"""


def wake(connection: Connection, minutes: Mapping[int, int]) -> Collection[int]:
    """Let the next tick judge these series, by id with their first minute of events; return those found.

    A series that was never judged begins with its oldest event, whichever partition that came from.
    """
    found = connection.execute(WAKE_LOCK, {"ids": sorted(minutes)}).fetchall()
    asleep = [
        series_id
        for series_id, is_due, is_unjudged, judged in found
        if not is_due or (is_unjudged and minutes[series_id] <= judged)
    ]
    if asleep:
        connection.execute(WAKE, {"ids": asleep, "minutes": [minutes[one] for one in asleep]})
    return {row[0] for row in found}


class DueSeries(msgspec.Struct, frozen=True, kw_only=True):
    """A series to be judged, with its state's bytes; minutes are since the epoch.

    `buckets` are those that it shares, None when it has minutes of its own. `has_open`: it has an unresolved
    incident. `needs_history`: older buckets exist that its state does not know.
    """

    series_id: int
    series: Series
    buckets: Series | None
    first_bucket: int
    partition: int
    needs_history: bool
    judged: int
    state: bytes | None
    has_open: bool


DUE: LiteralString = """
SELECT s.id AS series_id, s.project_id, s.environment, s.metric_name, s.fingerprint, s.org_id,
       s.bucket_metric, s.bucket_fingerprint,
       floor(extract(epoch FROM s.first_bucket_at) / 60)::bigint AS first_bucket, t.partition,
       t.needs_history, floor(extract(epoch FROM t.judged_at) / 60)::bigint AS judged, t.state,
       EXISTS (SELECT FROM incidents i
               WHERE i.project_id = s.project_id AND i.environment = s.environment
                 AND i.fingerprint = s.fingerprint AND i.status <> 'resolved'
               OFFSET 0) AS has_open
FROM (
    SELECT u.series_id, u.partition, u.needs_history, u.judged_at, u.state
    FROM pipeline.rule_state u
    WHERE u.partition = %(partition)s AND u.is_due AND u.judged_at < to_timestamp(%(minute)s * 60)
    ORDER BY u.series_id
    FOR UPDATE
) AS t
CROSS JOIN LATERAL (
    SELECT o.* FROM pipeline.rule_series o WHERE o.id = t.series_id OFFSET 0
) AS s
"""


class _DueRow(NamedTuple):
    """The columns of `DUE`; a tuple, for a tick reads ten thousand."""

    series_id: int
    project_id: str
    environment: str
    metric_name: str
    fingerprint: str
    org_id: str
    bucket_metric: str | None
    bucket_fingerprint: str | None
    first_bucket: int
    partition: int
    needs_history: bool
    judged: int
    state: bytes | None
    has_open: bool

    def due(self) -> DueSeries:
        """Return the series, with the one whose buckets it shares."""
        shared = None
        if self.bucket_metric is not None and self.bucket_fingerprint is not None:
            shared = self._series(self.bucket_metric, self.bucket_fingerprint)
        return DueSeries(
            series_id=self.series_id,
            series=self._series(self.metric_name, self.fingerprint),
            buckets=shared,
            first_bucket=self.first_bucket,
            partition=self.partition,
            needs_history=self.needs_history,
            judged=self.judged,
            state=self.state,
            has_open=self.has_open,
        )

    def _series(self, metric_name: str, fingerprint: str) -> Series:
        return Series(self.project_id, self.environment, metric_name, fingerprint, self.org_id)


def due(connection: Connection, *, partition: int, minute: int) -> Sequence[DueSeries]:
    """Return and lock the series of a partition that are due and not judged at `minute` yet."""
    rows = connection.execute(DUE, {"partition": partition, "minute": minute})
    return [_DueRow._make(row).due() for row in rows]


MOVE_ON: LiteralString = """
UPDATE pipeline.rule_state t SET judged_at = to_timestamp(%(minute)s * 60), updated_at = now()
WHERE t.series_id = ANY(%(ids)s)
"""


def move_on(connection: Connection, series_ids: Sequence[int], minute: int) -> None:
    """Note that series, which the caller has locked, were judged up to a minute that changed nothing else."""
    connection.execute(MOVE_ON, {"ids": series_ids, "minute": minute})


# Binary parameters: bytes in the text of an array would be written as digits, and their quotes looked for.
SAVE: LiteralString = """
UPDATE pipeline.rule_state t
SET is_due = r.is_due, judged_at = to_timestamp(r.judged * 60), state = r.state, updated_at = now()
FROM unnest(%(ids)b::bigint[], %(due)b::boolean[], %(judged)b::bigint[], %(states)b::bytea[])
     AS r(series_id, is_due, judged, state)
WHERE t.series_id = r.series_id AND t.series_id = ANY(%(ids)b::bigint[])
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnState:
    """A state to store, None to begin anew; `is_due`: the next tick judges the series as well."""

    series_id: int
    is_due: bool
    judged: int
    state: bytes | None


def save(connection: Connection, states: Iterable[OwnState]) -> None:
    """Store states that the caller has locked."""
    writes = list(states)
    parameters = {
        "ids": [one.series_id for one in writes],
        "due": [one.is_due for one in writes],
        "judged": [one.judged for one in writes],
        "states": [one.state for one in writes],
    }
    connection.execute(SAVE, parameters)
