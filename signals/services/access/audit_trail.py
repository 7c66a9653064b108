"""Reads the audit: who changed keys, destinations, routes, rules, maintenance, opt-ins and people."""

from psycopg_pool import ConnectionPool

from shared_types import Tenancy
from signals.clients.postgres import REQUEST_TIMEOUT_MS, Connection, reading
from signals.store.access import audit
from signals.store.access.audit import AuditRow


class AuditTrail:
    """The audit of a tenant's project and organisation; safe to call from several threads."""

    def __init__(self, pool: ConnectionPool[Connection]) -> None:
        self._pool = pool

    def newest(
        self, tenancy: Tenancy, *, target: str | None, before: int | None, limit: int
    ) -> list[AuditRow]:
        """Return changes, newest first: of one object, and older than the row `before`, if asked.

        Raises:
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        with reading(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            rows = audit.read(
                connection,
                tenancy.org_id,
                project_id=tenancy.project_id,
                target=target,
                before=before,
                rows=limit,
            )
        return list(rows)
