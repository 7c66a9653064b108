"""Says where events went: a report of the loss ledger, and an audit that tells whether any is missing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Final

from psycopg_pool import ConnectionPool

from signals.clients.kafka import ENGINE_GROUP, INDEXER_GROUP, RAW_TOPIC
from signals.clients.postgres import Connection, transaction
from signals.domain.detection.buckets import BUCKET_S
from signals.domain.ledger import (
    INGEST,
    STAGES,
    Audit,
    ForeignKind,
    ReadingStage,
    StageLine,
    foreign_parts,
    is_foreign,
    line_of,
    settled_before,
)
from signals.domain.queries.parameters import InvalidQuery, instant
from signals.store.ledger import ledger
from signals.store.ledger.ledger import MinuteEvents
from signals.store.operations import offsets

AUDITED: Final = timedelta(minutes=60)
DEFAULT_SPAN: Final = timedelta(hours=1)
MAX_SPAN: Final = timedelta(hours=24)  # of one project's report: at most 1,440 minutes

GROUPS: Final[Mapping[ReadingStage, str]] = {"incident-engine": ENGINE_GROUP, "indexer": INDEXER_GROUP}


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerMinute:
    """The events of a project that were received in one minute, and what each stage did with them."""

    project_id: str
    minute_at: datetime
    accepted: int
    stages: list[StageLine]


@dataclass(frozen=True, slots=True, kw_only=True)
class NotEvents:
    """Items of one project, minute, door and reason that became no event, beside the balance."""

    project_id: str
    minute_at: datetime
    kind: ForeignKind
    door: str
    reason: str
    items: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerReport:
    """Where the events received from `since` up to `until` went; `settled_before` is by stage.

    `not_events` is what clients of other products sent that became no event.
    """

    since: datetime
    until: datetime
    settled_before: dict[ReadingStage, datetime | None]
    accepted: int
    totals: list[StageLine]
    minutes: list[LedgerMinute]
    not_events: list[NotEvents] = field(default_factory=list)


class LedgerAudit:
    """Reads the ledger; safe to call from several threads."""

    def __init__(self, pool: ConnectionPool[Connection]) -> None:
        self._pool = pool

    def audit(self) -> Audit:
        """Look for missing events in the newest hour.

        Raises:
            DependencyUnavailable: when PostgreSQL is away.
        """
        since = datetime.now(UTC) - AUDITED
        with transaction(self._pool) as connection:
            settled = {stage: at for stage, at in _settled(connection).items() if at and at > since}
            missing = ledger.missing(connection, since=since, settled_before=settled) if settled else []
        if missing:
            return Audit(state="unbalanced", missing={lost.stage: lost.events for lost in missing})
        return Audit(state="balanced" if len(settled) == len(STAGES) else "unknown", missing={})

    def sums(self) -> dict[tuple[str, str], int]:
        """Return how many events received in the newest hour had which outcome at which stage.

        Raises:
            DependencyUnavailable: when PostgreSQL is away.
        """
        with transaction(self._pool) as connection:
            return ledger.sums(connection, since=datetime.now(UTC) - AUDITED)

    def report(self, project_id: str | None, since: datetime, until: datetime) -> LedgerReport:
        """Return the ledger of a project, or of all of them, by minute.

        Raises:
            DependencyUnavailable: when PostgreSQL is away.
        """
        with transaction(self._pool) as connection:
            # The watermarks first: what they call settled must be in what is read after them.
            settled = _settled(connection)
            rows = ledger.read(connection, project_id=project_id, since=since, until=until)
        not_events = [_not_events(row) for row in rows if is_foreign(row.outcome)]
        rows = [row for row in rows if not is_foreign(row.outcome)]
        minutes = [
            _minute(key[0], key[1], {(r.stage, r.outcome): r.events for r in group}, settled)
            for key, group in groupby(rows, key=_project_and_minute)
        ]
        totals = {stage: StageLine(stage=stage) for stage in STAGES}
        for minute in minutes:
            for line in minute.stages:
                totals[line.stage] = totals[line.stage].plus(line)
        return LedgerReport(
            since=since,
            until=until,
            settled_before=settled,
            accepted=sum(minute.accepted for minute in minutes),
            totals=list(totals.values()),
            minutes=minutes,
            not_events=not_events,
        )

    def not_events(self, project_id: str | None, since: datetime, until: datetime) -> list[NotEvents]:
        """Return what clients of other products sent that became no event, by minute, project and reason.

        Raises:
            DependencyUnavailable: when PostgreSQL is away.
        """
        with transaction(self._pool) as connection:
            rows = ledger.read(connection, project_id=project_id, since=since, until=until)
        return [_not_events(row) for row in rows if is_foreign(row.outcome)]


def span(since: str | None, until: str | None) -> tuple[datetime, datetime]:
    """Read what a client asks for: whole minutes, the newest hour unless said otherwise.

    Raises:
        InvalidQuery: naming the parameter at fault.
    """
    end = instant("until", until) if until else datetime.now(UTC)
    start = instant("since", since) if since else end - DEFAULT_SPAN
    start = datetime.fromtimestamp(start.timestamp() // BUCKET_S * BUCKET_S, UTC)
    if start >= end:
        raise InvalidQuery("until", "it must be later than since")
    if end - start > MAX_SPAN + timedelta(seconds=BUCKET_S):
        raise InvalidQuery("since", "ask for 24 hours at most")
    return start, end


def _not_events(row: MinuteEvents) -> NotEvents:
    kind, door, reason = foreign_parts(row.outcome)
    return NotEvents(
        project_id=row.project_id,
        minute_at=row.minute_at,
        kind=kind,
        door=door,
        reason=reason,
        items=row.events,
    )


def _settled(connection: Connection) -> dict[ReadingStage, datetime | None]:
    return {
        stage: settled_before(offsets.complete_until(connection, group=group, topic=RAW_TOPIC))
        for stage, group in GROUPS.items()
    }


def _project_and_minute(row: MinuteEvents) -> tuple[str, datetime]:
    return row.project_id, row.minute_at


def _minute(
    project_id: str,
    minute_at: datetime,
    events: Mapping[tuple[str, str], int],
    settled: Mapping[ReadingStage, datetime | None],
) -> LedgerMinute:
    lines = []
    for stage in STAGES:
        before = settled[stage]
        lines.append(line_of(stage, events, is_settled=before is not None and minute_at < before))
    return LedgerMinute(
        project_id=project_id,
        minute_at=minute_at,
        accepted=events.get((INGEST, "accepted"), 0),
        stages=lines,
    )
