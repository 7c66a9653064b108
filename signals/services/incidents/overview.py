"""Says how many outages and incidents of a project are unresolved, and the last numbers of some."""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from psycopg_pool import ConnectionPool

from shared_types import Tenancy
from signals.clients.postgres import REQUEST_TIMEOUT_MS, Connection, reading
from signals.domain.access.team import TeamMember, team_of
from signals.store.access import people
from signals.store.incidents import incident_changes, incident_overview
from signals.store.incidents.incident_changes import NewestChange
from signals.store.incidents.incident_overview import LatestNumbers, UnresolvedOutages


class IncidentOverview:
    """Reads across the incidents of a tenant; safe to call from several threads."""

    def __init__(self, pool: ConnectionPool[Connection]) -> None:
        self._pool = pool

    def unresolved_outages(self, tenancy: Tenancy) -> UnresolvedOutages:
        """Count the unresolved outages.

        Raises:
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        with reading(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            return incident_overview.unresolved_outages(connection, tenancy.project_id)

    def latest(self, incident_ids: Sequence[UUID]) -> Mapping[UUID, LatestNumbers]:
        """Return the newest numbers of incidents that were read as a tenant's before.

        Raises:
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        if not incident_ids:
            return {}
        with reading(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            return {one.incident_id: one for one in incident_overview.latest(connection, incident_ids)}

    def failing_again(self, tenancy: Tenancy, incident_id: UUID) -> UUID | None:
        """Return the unresolved incident of a resolved one's series, None when there is none.

        Raises:
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        with reading(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            return incident_overview.failing_again(connection, tenancy.project_id, incident_id)

    def newest_number(self) -> int:
        """Return the number of the newest change of any incident, for a page to say what it shows.

        Raises:
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        with reading(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            return incident_changes.newest_number(connection)

    def newest(self, project_ids: Collection[str]) -> Mapping[str, NewestChange]:
        """Return the newest change of each project that has a recent one.

        Raises:
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        with reading(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            return incident_changes.newest(connection, project_ids)

    def team(self, tenancy: Tenancy) -> Mapping[str, TeamMember]:
        """Return the organisation's people by the actor that a timeline names.

        Raises:
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        with reading(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            found = people.list_members(connection, tenancy.org_id)
        return team_of((one.user_id, one.name, one.email) for one in found)
