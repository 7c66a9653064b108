"""Removes rows past their retention: a walk along the primary key, one bounded page at a time.

Ages are counted from when a row was last written, not from the instant it speaks of: a replay of last
year's events is judged like today's. Locked rows are left to the next walk, so that a walk
never waits and cannot deadlock with the engine.
"""

from dataclasses import dataclass
from typing import LiteralString

from psycopg.rows import class_row

from signals.clients.postgres import Connection

BUCKETS: LiteralString = """
WITH page AS MATERIALIZED (
    SELECT id, updated_at FROM metrics_buckets WHERE id > %(after)s ORDER BY id LIMIT %(rows)s
), expired AS MATERIALIZED (
    SELECT b.id FROM metrics_buckets b
    WHERE b.id = ANY (ARRAY(SELECT id FROM page WHERE updated_at < now() - make_interval(days => %(days)s)))
      AND b.updated_at < now() - make_interval(days => %(days)s)
    FOR UPDATE SKIP LOCKED
), removed AS (
    DELETE FROM metrics_buckets WHERE id = ANY (ARRAY(SELECT id FROM expired)) RETURNING id
)
SELECT max(id) AS last, count(*) AS read, (SELECT count(*) FROM removed) AS removed FROM page
"""

# Only of incidents that are over: what an open one rests on stays, however old. Nobody updates these rows.
INCIDENT_EVENTS: LiteralString = """
WITH page AS MATERIALIZED (
    SELECT id, incident_id FROM incident_events WHERE id > %(after)s ORDER BY id LIMIT %(rows)s
), removed AS (
    DELETE FROM incident_events WHERE id = ANY (ARRAY(
        SELECT page.id FROM page JOIN incidents i ON i.id = page.incident_id
        WHERE i.status = 'resolved' AND i.resolved_at < now() - make_interval(days => %(days)s)
    )) RETURNING id
)
SELECT max(id) AS last, count(*) AS read, (SELECT count(*) FROM removed) AS removed FROM page
"""


# Hours, minutes and states of series are walked by series: one whose last minute is older goes with them.
HOURS: LiteralString = """
WITH page AS MATERIALIZED (
    SELECT series_id, judged_at, updated_at, by_clock FROM pipeline.rule_state
    WHERE series_id > %(after)s ORDER BY series_id LIMIT %(rows)s
), gone AS MATERIALIZED (
    SELECT s.series_id FROM pipeline.rule_state s
    WHERE s.series_id = ANY (ARRAY(SELECT series_id FROM page
                                   WHERE updated_at < now() - make_interval(days => %(days)s)))
      AND s.updated_at < now() - make_interval(days => %(days)s)
    FOR UPDATE SKIP LOCKED
), removed_series AS (
    DELETE FROM pipeline.rule_series WHERE id = ANY (ARRAY(SELECT series_id FROM gone)) RETURNING id
), removed AS (
    DELETE FROM pipeline.metrics_hours h USING page
    WHERE h.series_id = page.series_id AND h.series_id = ANY (ARRAY(SELECT series_id FROM page))
      AND h.hour_start < page.judged_at - make_interval(days => %(days)s)
    RETURNING h.series_id
), removed_minutes AS (
    DELETE FROM pipeline.rule_minutes m USING page
    WHERE m.series_id = page.series_id AND m.series_id = ANY (ARRAY(SELECT series_id FROM page))
      AND m.minute_at < page.judged_at - make_interval(days => %(days)s)
    RETURNING m.series_id
)
SELECT max(series_id) AS last, count(*) AS read,
       (SELECT count(*) FROM removed) + (SELECT count(*) FROM removed_series)
       + (SELECT count(*) FROM removed_minutes) AS removed
FROM page
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedRows:
    """Rows that one step read and removed; the next begins at `last`, None at the end of the table."""

    last: int | None
    read: int
    removed: int


def remove_buckets(connection: Connection, *, after: int, days: int, rows: int) -> DeletedRows:
    """Read at most `rows` minute buckets behind the id `after`; remove those unchanged for `days`."""
    return _step(connection, BUCKETS, after, days, rows)


def remove_incident_events(connection: Connection, *, after: int, days: int, rows: int) -> DeletedRows:
    """Read at most `rows` events behind the id `after`; remove those of incidents resolved `days` ago."""
    return _step(connection, INCIDENT_EVENTS, after, days, rows)


def remove_hours(connection: Connection, *, after: int, days: int, rows: int) -> DeletedRows:
    """Read at most `rows` series behind the id `after`; remove their hours of more than `days` before.

    So it does with minutes of own rules. A series that nothing was judged of for so long is removed whole.
    """
    return _step(connection, HOURS, after, days, rows)


def _step(connection: Connection, statement: LiteralString, after: int, days: int, rows: int) -> DeletedRows:
    with connection.cursor(row_factory=class_row(DeletedRows)) as cursor:
        page = cursor.execute(statement, {"after": after, "days": days, "rows": rows}).fetchone()
    assert page is not None  # an aggregate always has a row
    return page


KEY_USAGE: LiteralString = "DELETE FROM pipeline.key_usage WHERE day < current_date - %(days)s::int"


def remove_key_usage(connection: Connection, *, days: int) -> int:
    """Remove the daily counts of keys older than `days`: one row per key and day; return how many."""
    return connection.execute(KEY_USAGE, {"days": days}).rowcount


# Ids grow with time, so that the oldest rows come first: no index on the instant is needed.
NOTICE_ATTEMPTS: LiteralString = """
DELETE FROM pipeline.notice_attempts WHERE id = ANY (ARRAY(
    SELECT id FROM (SELECT id, at FROM pipeline.notice_attempts ORDER BY id LIMIT %(rows)s) AS oldest
    WHERE at < now() - make_interval(days => %(days)s)
))
"""


def remove_notice_attempts(connection: Connection, *, days: int, rows: int) -> int:
    """Remove at most `rows` lines of the delivery log that are older than `days`; return how many."""
    return connection.execute(NOTICE_ATTEMPTS, {"days": days, "rows": rows}).rowcount
