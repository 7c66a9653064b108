"""Lists the AI jobs of a tenant."""

from collections.abc import Sequence

from psycopg_pool import ConnectionPool

from shared_types import Tenancy
from signals.clients.postgres import REQUEST_TIMEOUT_MS, Connection, reading
from signals.store.summary import ai_job_list
from signals.store.summary.ai_job_list import ListedJob


class JobList:
    """Reads jobs; safe to call from several threads."""

    def __init__(self, pool: ConnectionPool[Connection]) -> None:
        self._pool = pool

    def newest(self, tenancy: Tenancy, *, status: str | None = None, rows: int = 50) -> Sequence[ListedJob]:
        """Return the newest jobs, of one status or of any.

        Raises:
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        with reading(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            return ai_job_list.list_jobs(connection, tenancy.project_id, status=status, rows=rows)
