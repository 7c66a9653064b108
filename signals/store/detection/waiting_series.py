"""Series whose state does not know all their buckets: they wait to be learned anew from these."""

from collections.abc import Mapping, Sequence
from typing import LiteralString

import orjson

from signals.clients.postgres import Connection
from signals.domain.detection.buckets import Series
from signals.domain.incidents.stored_state import StoredState, stored_state

# Late events come in bursts: a series waits until none came for a while, but not without end.
WAITING: LiteralString = """
SELECT s.org_id, s.project_id, s.environment, s.metric_name, s.fingerprint, s.id,
       floor(extract(epoch FROM s.first_bucket_at) / 60)::bigint, t.partition, t.needs_history,
       t.is_disordered, floor(extract(epoch FROM t.judged_at) / 60)::bigint, t.state, false
FROM (
    SELECT u.series_id, u.partition, u.needs_history, u.disordered_since IS NOT NULL AS is_disordered,
           u.judged_at, u.state
    FROM pipeline.rule_state u
    WHERE u.needs_history
      AND (u.disordered_at IS NULL
           OR u.disordered_at <= now() - make_interval(secs => %(quiet_s)s)
           OR u.disordered_since <= now() - make_interval(secs => %(most_s)s))
    ORDER BY u.series_id LIMIT %(rows)s
    FOR UPDATE SKIP LOCKED
) AS t
CROSS JOIN LATERAL (
    SELECT o.id, o.org_id, o.project_id, o.environment, o.metric_name, o.fingerprint, o.first_bucket_at
    FROM pipeline.rule_series o WHERE o.id = t.series_id OFFSET 0
) AS s
"""


def waiting(connection: Connection, *, rows: int, quiet_s: float, most_s: float) -> Sequence[StoredState]:
    """Return and lock some series that wait; skip what is locked.

    One with late events waits until none came for `quiet_s`, or for `most_s` in all.
    """
    parameters = {"rows": rows, "quiet_s": quiet_s, "most_s": most_s}
    return [stored_state(*row) for row in connection.execute(WAITING, parameters)]


DISORDERED: LiteralString = """
SELECT EXISTS (
    SELECT FROM pipeline.rule_series s JOIN pipeline.rule_state t ON t.series_id = s.id
    WHERE s.project_id = %(project_id)s AND s.environment = %(environment)s
      AND s.metric_name = %(metric_name)s AND s.fingerprint = %(fingerprint)s
      AND t.disordered_since IS NOT NULL)
"""


def is_disordered(connection: Connection, series: Series) -> bool:
    """Say whether a series was counted out of order and waits."""
    parameters = {
        "project_id": series.project_id,
        "environment": series.environment,
        "metric_name": series.metric_name,
        "fingerprint": series.fingerprint,
    }
    row = connection.execute(DISORDERED, parameters).fetchone()
    return row is not None and bool(row[0])


NOTE_LEARNED: LiteralString = """
UPDATE pipeline.rule_state
SET needs_history = false, disordered_since = NULL, disordered_at = NULL, late_events = 0
WHERE series_id = %(series_id)s
"""


def note_learned(connection: Connection, series_id: int) -> None:
    """Remember that a series' state knows its buckets."""
    connection.execute(NOTE_LEARNED, {"series_id": series_id})


ADD_LATE: LiteralString = """
UPDATE pipeline.rule_state t SET late_events = t.late_events + r.events
FROM json_to_recordset(%(rows)s::json) AS r(series_id bigint, events bigint)
WHERE t.series_id = r.series_id AND t.series_id = ANY(%(ids)s)
RETURNING t.series_id, t.late_events
"""


def add_late(connection: Connection, events: Mapping[int, int]) -> Mapping[int, int]:
    """Add late events by series id, whose states the caller has locked; return how many there are by now."""
    rows = [{"series_id": series_id, "events": count} for series_id, count in events.items()]
    parameters = {"rows": orjson.dumps(rows).decode(), "ids": list(events)}
    return dict(connection.execute(ADD_LATE, parameters).fetchall())


NOTE_DISORDER: LiteralString = """
WITH given AS (
    SELECT r.series_id, to_timestamp(r.first * 60) AS first
    FROM json_to_recordset(%(rows)s::json) AS r(series_id bigint, first bigint)
), begun AS (
    UPDATE pipeline.rule_series s SET first_bucket_at = g.first
    FROM given g WHERE s.id = g.series_id AND s.id = ANY(%(ids)s) AND g.first < s.first_bucket_at
)
UPDATE pipeline.rule_state t
SET needs_history = true, disordered_since = coalesce(t.disordered_since, now()), disordered_at = now()
WHERE t.series_id = ANY(%(ids)s)
"""


def note_disorder(connection: Connection, first_minutes: Mapping[int, int]) -> None:
    """Let series, whose states the caller has locked, wait to be learned anew.

    `first_minutes` gives, by series id, a minute with events: a series begins at its earliest.
    """
    rows = [{"series_id": series_id, "first": first} for series_id, first in sorted(first_minutes.items())]
    parameters = {"rows": orjson.dumps(rows).decode(), "ids": sorted(first_minutes)}
    connection.execute(NOTE_DISORDER, parameters)
