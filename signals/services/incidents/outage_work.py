"""The everyday work on an outage: assignee, comments, snooze; and its timeline."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

import structlog
from psycopg_pool import ConnectionPool

from shared_types import Tenancy
from signals.clients.postgres import REQUEST_TIMEOUT_MS, Connection, reading, transaction
from signals.domain.incidents.silence import silent_until
from signals.services.incidents import outage_merging
from signals.services.incidents.outage_status import lock_version
from signals.services.incidents.precondition import UNCONDITIONAL, Precondition
from signals.services.incidents.views import MAX_CHANGES
from signals.services.incidents.work_refused import VERSION_CHANGED, WorkRefused
from signals.store.incidents import incident_changes, outage_cares, outage_views
from signals.store.incidents.incident_changes import OutageEntry
from signals.store.incidents.outage_views import OutageRow

MAX_SNOOZE: Final = timedelta(days=30)  # people forget what is silent indefinitely

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snooze:
    """Until when an outage is silent; `events`: or until its series had so many more. Worse always wakes."""

    until: datetime
    events: int | None = None


class OutageWork:
    """Works on the outages of a tenant; safe to call from several threads.

    Its methods return False, or None, when the project has no such outage, and raise DependencyUnavailable
    when PostgreSQL does not answer.
    """

    def __init__(
        self, pool: ConnectionPool[Connection], *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._pool = pool
        self._now = now

    def timeline(self, tenancy: Tenancy, outage_id: UUID) -> list[OutageEntry] | None:
        """Return what happened last to the outage and its incidents, oldest first."""
        with reading(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            row = outage_views.find(connection, tenancy.project_id, outage_id)
            if row is None:
                return None
            return list(incident_changes.outage_timeline(connection, row.id, limit=MAX_CHANGES))

    def comment(self, tenancy: Tenancy, outage_id: UUID, text: str, *, actor: str) -> bool:
        """Add a comment."""
        return self._change(tenancy, outage_id, actor, lambda *_: ("commented", {"text": text}))

    def assign(
        self,
        tenancy: Tenancy,
        outage_id: UUID,
        assignee: str | None,
        *,
        actor: str,
        only_if: Precondition = UNCONDITIONAL,
    ) -> bool:
        """Set who works on the outage; None takes it back. In `only_if`, `shown` is the assignee.

        Raises:
            WorkRefused: when the outage has another version or assignee than the one given.
        """

        def change(connection: Connection, row: OutageRow) -> tuple[str, Mapping[str, object]] | None:
            if not only_if.holds_for(row.assignee or ""):
                raise _changed_meanwhile()
            if row.assignee == assignee:
                return None
            outage_cares.assign(connection, row.id, assignee)
            return "assigned", {"assignee": assignee}

        return self._change(tenancy, outage_id, actor, change, version=only_if.version)

    def snooze(
        self,
        tenancy: Tenancy,
        outage_id: UUID,
        wanted: Snooze,
        *,
        actor: str,
        only_if: Precondition = UNCONDITIONAL,
    ) -> bool:
        """Hold the outage's messages until an instant, more events, or a worse severity.

        In `only_if`, `shown` is the end of its snooze, an RFC 3339 instant.

        Raises:
            WorkRefused: when the outage is over or has another version or snooze, or the instant is past or
                too far.
        """
        now = self._now()
        if not now < wanted.until <= now + MAX_SNOOZE:
            raise WorkRefused("invalid_until", f"until: it lies within {MAX_SNOOZE.days} days from now.")

        def change(connection: Connection, row: OutageRow) -> tuple[str, Mapping[str, object]]:
            self._check_snooze(row, only_if)
            if row.status == "resolved":
                raise WorkRefused("resolved", "The outage is resolved; there is nothing to snooze.")
            outage_cares.snooze(connection, row.id, until=wanted.until, now=now, wake_after=wanted.events)
            until = {"snoozed_until": wanted.until.isoformat()}
            return "snoozed", until if wanted.events is None else until | {"events": wanted.events}

        return self._change(tenancy, outage_id, actor, change, version=only_if.version)

    def wake(
        self, tenancy: Tenancy, outage_id: UUID, *, actor: str, only_if: Precondition = UNCONDITIONAL
    ) -> bool:
        """End a snooze; without one nothing changes. `only_if` is as for `snooze`.

        Raises:
            WorkRefused: when the outage has another version or snooze than the one given.
        """

        def change(connection: Connection, row: OutageRow) -> tuple[str, Mapping[str, object]] | None:
            self._check_snooze(row, only_if)
            if not outage_cares.wake(connection, row.id):
                return None
            return "woken", {"snoozed_until": None, "reason": "by hand"}

        return self._change(tenancy, outage_id, actor, change, version=only_if.version)

    def merge(
        self, tenancy: Tenancy, outage_id: UUID, into_id: UUID, *, actor: str, version: int | None = None
    ) -> UUID | None:
        """Move every incident of a settled outage to another one; return the other's id.

        Raises:
            WorkRefused: as `outage_merging.merge` does.
        """
        with transaction(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            row = outage_views.find(connection, tenancy.project_id, outage_id)
            into = outage_views.find(connection, tenancy.project_id, into_id)
            if row is None or into is None:
                return None
            incident_changes.act_as(connection, actor)
            merged = outage_merging.merge(connection, row, into, version=version)
        log.info("outage merged", outage_id=str(row.id), into_id=str(merged), actor=actor)
        return merged

    def split(
        self, tenancy: Tenancy, outage_id: UUID, incident_id: UUID, *, actor: str, version: int | None = None
    ) -> UUID | None:
        """Move the series of an incident from its settled outage to a new one; return the new one's id.

        Raises:
            WorkRefused: as `outage_merging.split` does.
        """
        with transaction(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            row = outage_views.find(connection, tenancy.project_id, outage_id)
            if row is None:
                return None
            incident_changes.act_as(connection, actor)
            made = outage_merging.split(connection, row, incident_id, uuid4(), version=version)
        log.info("outage split", outage_id=str(row.id), new_id=str(made), actor=actor)
        return made

    def _check_snooze(self, row: OutageRow, only_if: Precondition) -> None:
        until = silent_until(row.snoozed_until, self._now())
        if not only_if.holds_for(until.isoformat() if until else ""):
            raise _changed_meanwhile()

    def _change(
        self,
        tenancy: Tenancy,
        outage_id: UUID,
        actor: str,
        change: Callable[[Connection, OutageRow], tuple[str, Mapping[str, object]] | None],
        *,
        version: int | None = None,
    ) -> bool:
        """Make a change, and note it in the timeline of the first incident, in one transaction."""
        with transaction(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            row = outage_views.find(connection, tenancy.project_id, outage_id)
            if row is None:
                return False
            if version is not None and lock_version(connection, row.id) != version:
                raise _changed_meanwhile()
            incident_changes.act_on(connection, row.first_incident_id, actor)
            row = outage_views.find(connection, tenancy.project_id, outage_id) or row  # as it is locked now
            noted = change(connection, row)
            if noted is not None:
                kind, detail = noted
                incident_changes.note(connection, row.first_incident_id, kind, detail)
                log.info("outage work", outage_id=str(row.id), kind=kind, actor=actor)
        return True


def _changed_meanwhile() -> WorkRefused:
    return WorkRefused(VERSION_CHANGED, "The outage changed meanwhile; read it again.")
