"""Manages the routes of a project, and explains which of them tell of an incident."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, get_args
from uuid import UUID, uuid4

import structlog
from psycopg_pool import ConnectionPool

from signals.clients.postgres import REQUEST_TIMEOUT_MS, Connection, reading, transaction
from signals.domain.access.principal import Caller
from signals.domain.notifications.route_fields import RouteFields, route_of
from signals.domain.notifications.routing import (
    NoticeVerdict,
    Route,
    SeverityWord,
    mismatch,
)
from signals.store.access import audit
from signals.store.notifications import routes, subjects
from signals.store.notifications.routes import NewRoute, StoredRoute

MAX_ROUTES: Final = 200  # guess: a project's; each is matched against every incident

SEVERITIES: Final[tuple[SeverityWord, ...]] = get_args(SeverityWord)
VERDICTS: Final[tuple[NoticeVerdict, ...]] = get_args(NoticeVerdict)

log = structlog.get_logger(__name__)


class RouteRefused(Exception):  # noqa: N818  # reads as what happened
    """A route cannot be stored: `code` is a word for programs, the text names field and remedy."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteView:
    """A route as people see it."""

    id: UUID
    destination_id: UUID
    environments: list[str] | None
    min_severity: SeverityWord
    verdicts: list[NoticeVerdict]
    fingerprint: str | None
    quiet: dict[str, Any] | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteMatch:
    """Whether a route tells of an incident; `reason` says why not."""

    route_id: UUID
    destination_id: UUID
    matches: bool
    reason: str | None


class Routes:
    """The routes of the caller's project; safe to call from several threads."""

    def __init__(self, pool: ConnectionPool[Connection]) -> None:
        self._pool = pool

    def all(self, caller: Caller) -> list[RouteView]:
        """Return the project's routes, oldest first.

        Raises:
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        with reading(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            rows = routes.list_routes(connection, [caller.tenancy.project_id])
        return [_view(row) for row in rows]

    def create(self, caller: Caller, fields: RouteFields) -> RouteView:
        """Store a route.

        Raises:
            RouteRefused: saying what to change.
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        project_id = caller.tenancy.project_id
        environments = fields.environments
        row = NewRoute(
            id=uuid4(),
            project_id=project_id,
            destination_id=fields.destination_id,
            environments=[one.value for one in environments] if environments else None,
            min_severity=fields.min_severity,
            verdicts=list(fields.verdicts),
            fingerprint=fields.fingerprint,
            quiet=fields.quiet.model_dump() if fields.quiet else None,
            created_by=caller.actor,
        )
        with transaction(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            if routes.count(connection, project_id) >= MAX_ROUTES:
                text = f"A project has at most {MAX_ROUTES} routes; delete one first."
                raise RouteRefused("too_many_routes", text)
            if not routes.insert(connection, row):
                text = "destination_id: your project has no such destination; see GET /v1/destinations."
                raise RouteRefused("no_such_destination", text)
            [stored] = [one for one in routes.list_routes(connection, [project_id]) if one.id == row.id]
            audit.record_change(connection, caller, "route created", f"route:{row.id}", after=_facts(stored))
        log.info("route created", route_id=str(row.id), by=row.created_by)
        return _view(stored)

    def delete(self, caller: Caller, route_id: UUID) -> bool:
        """Delete a route; False when the project has no such one.

        Raises:
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        project_id = caller.tenancy.project_id
        with transaction(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            stored = [one for one in routes.list_routes(connection, [project_id]) if one.id == route_id]
            deleted = routes.delete(connection, route_id, project_id=project_id)
            if stored and deleted:
                before = _facts(stored[0])
                audit.record_change(connection, caller, "route deleted", f"route:{route_id}", before=before)
        if deleted:
            log.info("route deleted", route_id=str(route_id), by=caller.actor)
        return deleted == 1

    def match(self, caller: Caller, incident_id: UUID) -> list[RouteMatch] | None:
        """Say of each route whether it tells of the incident; None when the project has no such incident.

        Raises:
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        project_id = caller.tenancy.project_id
        with transaction(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            found = subjects.read(connection, [incident_id])
            rows = routes.list_routes(connection, [project_id])
        subject = found.get(incident_id)
        if subject is None or subject.told.project_id != project_id:
            return None
        reasons = [(row, mismatch(stored_route(row), subject.matched)) for row in rows]
        return [
            RouteMatch(
                route_id=row.id, destination_id=row.destination_id, matches=reason is None, reason=reason
            )
            for row, reason in reasons
        ]


def stored_route(row: StoredRoute) -> Route:
    """Return a stored route for matching."""
    fields = {
        "environments": row.environments,
        "min_severity": row.min_severity,
        "verdicts": row.verdicts,
        "fingerprint": row.fingerprint,
        "quiet": row.quiet,
    }
    return route_of(row.id, row.destination_id, fields)


def _facts(row: StoredRoute) -> dict[str, object]:
    return {
        "destination_id": str(row.destination_id),
        "environments": row.environments,
        "min_severity": row.min_severity,
        "verdicts": row.verdicts,
        "fingerprint": row.fingerprint,
        "quiet": row.quiet,
    }


def _view(row: StoredRoute) -> RouteView:
    [severity] = [one for one in SEVERITIES if one == row.min_severity]
    return RouteView(
        id=row.id,
        destination_id=row.destination_id,
        environments=row.environments,
        min_severity=severity,
        verdicts=[one for one in VERDICTS if one in row.verdicts],
        fingerprint=row.fingerprint,
        quiet=row.quiet,
        created_at=row.created_at,
    )
