"""Divides incidents that opened together into outages, and keeps outages in step with their incidents.

A window begins with an outage. After five minutes its incidents are divided by cause, after ten for the last
time. Rounds repeat every few seconds; several processes may do them at once, and one may be killed at any
moment: each window is divided in one transaction that holds the project's lock and reads its members anew.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid4

import structlog
from psycopg_pool import ConnectionPool

from shared_types import RuleFingerprint, read_fingerprint
from shared_types.fingerprints import METRICS
from signals.clients.postgres import Connection, transaction
from signals.domain.detection.buckets import minute_of
from signals.domain.incidents.outages import (
    GATHER_MINUTES,
    REVISE_MINUTES,
    Member,
    Outage,
    SeriesAttributes,
    explained_by,
    settle,
)
from signals.domain.incidents.placing import attributes_of
from signals.errors import DependencyUnavailable
from signals.services.grouping import group
from signals.store.detection import own_series
from signals.store.incidents import outage_states, outage_windows, outages
from signals.store.incidents.outage_windows import DecidedCause, DueWindow, WindowMember
from signals.store.incidents.outages import NewOutage

LAST_DIVISION: Final = REVISE_MINUTES + 1  # whole minutes: when the tenth is over
ACTIVE_MINUTES: Final = 24 * 60  # the active series of docs/concepts/detection.md
WINDOWS: Final = 100  # a round; one takes some milliseconds
PAGE_ROWS: Final = 2_000  # guess: read and adopted within some 50 ms
PAGES: Final = 10  # a round
TRIES: Final = 5  # of a window whose division fails: within eight minutes, then it stays as it is
RETRY_S: Final = 30.0  # before the second try; doubled for each further one (guess: a lock, a full disk)
ERROR_CHARS: Final = 500
BEGINNING: Final = UUID(int=0)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Division:
    """Where a window's incidents go; `merged` names, for each emptied outage, the one that has its first."""

    places: dict[UUID, UUID]
    new: list[NewOutage]
    causes: list[DecidedCause]
    merged: dict[UUID, UUID]


class Settling:
    """The periodic work on outages. How far it has adopted old incidents is lost with the process."""

    def __init__(self, pool: ConnectionPool[Connection]) -> None:
        self._pool = pool
        self._adopted_until: UUID | None = BEGINNING

    def round(self) -> int:
        """Adopt, divide and follow once; return how many outages changed.

        Raises:
            DependencyUnavailable: when PostgreSQL is away.
        """
        adopted = self._adopt()
        with transaction(self._pool) as connection:
            due = outage_windows.due(connection, gather=GATHER_MINUTES, last=LAST_DIVISION, rows=WINDOWS)
        for window in due:
            self._divide(window)
        with transaction(self._pool) as connection:
            return adopted + len(due) + outage_states.follow_lively(connection)

    def _divide(self, window: DueWindow) -> None:
        """Divide one window. A failure of it is stored and logged, and the others go on."""
        try:
            with transaction(self._pool) as connection:
                divide(connection, window)
        except DependencyUnavailable:
            raise
        except Exception as error:  # one window's data must not stop every project's
            with transaction(self._pool) as connection:
                failures = outage_windows.note_failure(
                    connection,
                    window.id,
                    f"{type(error).__name__}: {error}"[:ERROR_CHARS],
                    wait_s=RETRY_S,
                    tries=TRIES,
                )
            log.exception("outages not divided", window_id=str(window.id), failures=failures, tries=TRIES)

    def _adopt(self) -> int:
        """Give incidents of earlier releases an outage: all once, then those that an old process opens."""
        adopted = 0
        if self._adopted_until is None:
            with transaction(self._pool) as connection:
                return _group_left_out(connection)
        for _ in range(PAGES):
            with transaction(self._pool) as connection:
                page = outage_windows.adopt(connection, after=self._adopted_until, rows=PAGE_ROWS)
                outage_states.follow(connection, page.adopted)
            adopted += len(page.adopted)
            self._adopted_until = page.last if page.read == PAGE_ROWS else None
            if self._adopted_until is None:
                break
        if adopted:
            log.info("incidents without an outage got one", count=adopted)
        return adopted


def _group_left_out(connection: Connection) -> int:
    """Group unresolved incidents without an outage: a process of the release before has opened them."""
    left_out = outages.left_out(connection, rows=PAGE_ROWS)
    if not left_out:
        return 0
    outages.lock_projects(connection, {project_id for _, project_id in left_out})
    left_out = outages.left_out(connection, rows=PAGE_ROWS)  # another process may have been faster
    group(connection, [incident_id for incident_id, _ in left_out])
    return len(left_out)


def divide(connection: Connection, window: DueWindow) -> None:
    """Divide a window's incidents into outages in the caller's transaction."""
    outages.lock_projects(connection, [window.project_id])
    members = outage_windows.members(connection, window.id)
    if not members:
        return  # another process was faster, or every incident left with a former outage
    known = _active_series(connection, window.project_id, members)
    divided = settle(
        [
            Member(
                number=number,
                series=member.fingerprint,
                attributes=attributes_of(member.fingerprint),
                opened_at=minute_of(member.opened_at),
            )
            for number, member in enumerate(members)
        ],
        known,
    )
    division = _apply(window, members, divided, known)
    if division.new:
        outages.insert_all(connection, division.new)
    outage_windows.move(connection, division.places)
    outage_windows.decide(connection, window, division.causes, division.merged)
    outage_states.follow(connection, set(division.places.values()))
    log.info("outages divided", window_id=str(window.id), outages=len(divided), is_last=window.is_last)


def _active_series(
    connection: Connection, project_id: str, members: Sequence[WindowMember]
) -> SeriesAttributes:
    """Return the series that could have fired: of Rules A and B, and of the own rules that did fire.

    A window of one series needs none.
    """
    if len({member.fingerprint for member in members}) < 2:
        return {}
    begun = minute_of(members[0].opened_at)
    found = outage_windows.active(
        connection,
        project_id,
        metrics=list(METRICS.values()),
        since_minute=begun - ACTIVE_MINUTES,
        until_minute=begun,
    )
    named = (read_fingerprint(member.fingerprint) for member in members)
    rules = {one.metric_name for one in named if isinstance(one, RuleFingerprint)}
    if rules:
        found += own_series.active(
            connection, project_id, rules, since_minute=begun - ACTIVE_MINUTES, until_minute=begun
        )
    return {fingerprint: attributes_of(fingerprint) for fingerprint in found}


def _apply(
    window: DueWindow, members: Sequence[WindowMember], divided: Sequence[Outage], known: SeriesAttributes
) -> _Division:
    """Give each part the outage that its first member is in, else a new one."""
    division = _Division(places={}, new=[], causes=[], merged={})
    taken: set[UUID] = set()
    for part in divided:
        held = [members[member.number] for member in part.members]
        outage_id = held[0].outage_id
        if outage_id in taken:
            outage_id = uuid4()
            division.new.append(
                NewOutage(
                    id=outage_id,
                    project_id=window.project_id,
                    window_id=window.id,
                    opened_at=held[0].opened_at,
                    regression_of=None,
                    is_decided=True,
                )
            )
        taken.add(outage_id)
        division.places.update({member.incident_id: outage_id for member in held})
        if part.cause is not None:
            fired, active = explained_by(part, known)
            division.causes.append(
                DecidedCause(outage_id=outage_id, cause=part.cause, fired=fired, active=active)
            )
    division.merged.update(_emptied(members, division.places, taken))
    return division


def _emptied(
    members: Sequence[WindowMember], places: Mapping[UUID, UUID], taken: set[UUID]
) -> dict[UUID, UUID]:
    """Return each outage that lost all its incidents, and where the first of them went."""
    went: dict[UUID, UUID] = {}
    for member in members:
        if member.outage_id not in taken:
            went.setdefault(member.outage_id, places[member.incident_id])
    return went
