"""The loss ledger: rows that stages add and the audit reads, and the entries that each writer has made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString
from uuid import UUID

import orjson
from psycopg.rows import class_row

from signals.clients.postgres import Connection
from signals.domain.ledger import LedgerAccount, ReadingStage

# Rows arrive sorted by the whole conflict key: concurrent writers then lock in one order.
ADD: LiteralString = """
INSERT INTO pipeline.ledger (project_id, minute_at, stage, outcome, partition, events)
SELECT r.project_id, to_timestamp(r.minute * 60), r.stage, r.outcome, r.partition, r.events
FROM json_to_recordset(%(rows)s::json) AS r(project_id text, minute bigint, stage text, outcome text,
     partition int, events bigint)
ON CONFLICT (project_id, minute_at, stage, outcome, partition)
DO UPDATE SET events = ledger.events + excluded.events
"""


def add(connection: Connection, entries: Mapping[LedgerAccount, int]) -> None:
    """Add events to their accounts, in one statement; part of the caller's transaction."""
    if not entries:
        return
    rows = [
        {
            "project_id": account.project_id,
            "minute": account.minute,
            "stage": account.stage,
            "outcome": account.outcome,
            "partition": account.partition,
            "events": entries[account],
        }
        for account in sorted(entries)
    ]
    connection.execute(ADD, {"rows": orjson.dumps(rows).decode()})


@dataclass(frozen=True, slots=True, kw_only=True)
class MinuteEvents:
    """How many events of a project and minute had an outcome at a stage, over all partitions."""

    project_id: str
    minute_at: datetime
    stage: str
    outcome: str
    events: int


OF_PROJECT: LiteralString = """
SELECT project_id, minute_at, stage, outcome, sum(events)::bigint AS events
FROM pipeline.ledger
WHERE project_id = %(project_id)s AND minute_at >= %(since)s AND minute_at < %(until)s
GROUP BY project_id, minute_at, stage, outcome
ORDER BY minute_at, stage, outcome
"""
OF_ALL: LiteralString = """
SELECT project_id, minute_at, stage, outcome, sum(events)::bigint AS events
FROM pipeline.ledger
WHERE minute_at >= %(since)s AND minute_at < %(until)s
GROUP BY project_id, minute_at, stage, outcome
ORDER BY minute_at, project_id, stage, outcome
"""


def read(
    connection: Connection, *, project_id: str | None, since: datetime, until: datetime
) -> Sequence[MinuteEvents]:
    """Return what is entered from `since` up to, not including, `until`; None reads every project."""
    parameters = {"project_id": project_id, "since": since, "until": until}
    query = OF_ALL if project_id is None else OF_PROJECT
    with connection.cursor(row_factory=class_row(MinuteEvents)) as cursor:
        return cursor.execute(query, parameters).fetchall()


SUMS: LiteralString = """
SELECT stage, outcome, sum(events)::bigint FROM pipeline.ledger
WHERE minute_at >= %(since)s
GROUP BY stage, outcome
"""


def sums(connection: Connection, *, since: datetime) -> dict[tuple[str, str], int]:
    """Return the events entered from `since` on by (stage, outcome), over all projects."""
    rows = connection.execute(SUMS, {"since": since}).fetchall()
    return {(stage, outcome): events for stage, outcome, events in rows}


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """How many events of how many projects and minutes a stage should have handled, and did not."""

    stage: ReadingStage
    events: int
    minutes: int


MISSING: LiteralString = """
SELECT stage, sum(expected - handled)::bigint AS events, count(*) AS minutes
FROM (
    SELECT s.stage,
           sum(l.events) FILTER (WHERE l.outcome IN ('accepted', 'requeued')) AS expected,
           coalesce(sum(l.events) FILTER (WHERE l.outcome NOT IN ('accepted', 'requeued')), 0) AS handled
    FROM pipeline.ledger l
    JOIN json_to_recordset(%(settled)s::json) AS s(stage text, before timestamptz)
      ON l.minute_at < s.before AND l.stage IN ('ingest-api', s.stage)
    WHERE l.minute_at >= %(since)s AND l.minute_at < %(until)s
    GROUP BY l.project_id, l.minute_at, s.stage
) AS balance
WHERE expected > handled
GROUP BY stage
ORDER BY stage
"""


def missing(
    connection: Connection, *, since: datetime, settled_before: Mapping[ReadingStage, datetime]
) -> Sequence[Missing]:
    """Return what each stage lost in the minutes from `since` on that it has settled; empty when nothing."""
    settled = [{"stage": stage, "before": before} for stage, before in sorted(settled_before.items())]
    parameters = {
        "since": since,
        "until": max(settled_before.values()),
        "settled": orjson.dumps(settled).decode(),
    }
    with connection.cursor(row_factory=class_row(Missing)) as cursor:
        return cursor.execute(MISSING, parameters).fetchall()


# SKIP LOCKED: a row that a writer still holds is left to the next round.
TRIM: LiteralString = """
DELETE FROM pipeline.ledger WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM pipeline.ledger WHERE minute_at < now() - make_interval(days => %(days)s)
    ORDER BY minute_at LIMIT %(rows)s FOR UPDATE SKIP LOCKED
))
"""


def trim(connection: Connection, *, days: int, rows: int) -> int:
    """Delete at most `rows` rows older than `days`, oldest first; return how many."""
    return connection.execute(TRIM, {"days": days, "rows": rows}).rowcount


# One more than the writer's last entry: to repeat a transaction whose commit is uncertain is then harmless.
CLAIM_ENTRY: LiteralString = """
INSERT INTO pipeline.ledger_writers AS w (writer, entry)
VALUES (%(writer)s, %(entry)s)
ON CONFLICT (writer) DO UPDATE SET entry = excluded.entry, entered_at = now()
WHERE w.entry = excluded.entry - 1
"""


def claim_entry(connection: Connection, writer: UUID, entry: int) -> bool:
    """Claim the entry with this number (counted from 1); False when it has been made already.

    The entry itself belongs in the same transaction.
    """
    return connection.execute(CLAIM_ENTRY, {"writer": writer, "entry": entry}).rowcount == 1


FORGET_WRITERS: LiteralString = """
DELETE FROM pipeline.ledger_writers WHERE entered_at < now() - interval '1 day'
"""


def forget_silent_writers(connection: Connection) -> int:
    """Delete writers that have been silent for a day; return how many."""
    return connection.execute(FORGET_WRITERS).rowcount
