"""Lists what a project's destinations were told, or could not be told."""

from typing import Literal
from uuid import UUID

from psycopg_pool import ConnectionPool

from signals.clients.postgres import REQUEST_TIMEOUT_MS, Connection, reading
from signals.domain.access.principal import Caller
from signals.store.notifications import notice_list
from signals.store.notifications.notice_list import NoticeRow

NoticeStatus = Literal["queued", "running", "succeeded", "failed"]


class Notices:
    """The messages of the caller's project; safe to call from several threads."""

    def __init__(self, pool: ConnectionPool[Connection]) -> None:
        self._pool = pool

    def newest(
        self, caller: Caller, *, status: NoticeStatus | None, incident_id: UUID | None, limit: int
    ) -> list[NoticeRow]:
        """Return the newest messages, of one status or one incident if asked.

        Raises:
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        with reading(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            rows = notice_list.list_notices(
                connection,
                caller.tenancy.project_id,
                status=status,
                subject_id=incident_id,
                limit=limit,
            )
        return list(rows)
