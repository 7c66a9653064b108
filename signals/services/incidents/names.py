"""Finds the incident or outage that a caller names: by id, by its first digits, or as `latest`."""

from typing import Literal
from uuid import UUID

from psycopg_pool import ConnectionPool

from shared_types import Tenancy
from signals.clients.postgres import REQUEST_TIMEOUT_MS, Connection, reading
from signals.domain.queries.short_ids import LATEST, id_range
from signals.store.incidents import incident_names
from signals.store.incidents.incident_names import Named


class Names:
    """The names of a tenant's incidents and outages; safe to call from several threads."""

    def __init__(self, pool: ConnectionPool[Connection]) -> None:
        self._pool = pool

    def find(self, tenancy: Tenancy, named: Named, text: str) -> UUID | Literal["unknown", "ambiguous"]:
        """Return the id; that of an incident, where an outage is asked for, leads to its outage.

        Raises:
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        with reading(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            if text == LATEST:
                return incident_names.newest(connection, tenancy.project_id, named) or "unknown"
            limits = id_range(text)
            if limits is None:
                return "unknown"
            found = incident_names.between(connection, tenancy.project_id, named, *limits)
        if not found:
            return "unknown"
        return found[0] if len(found) == 1 else "ambiguous"
