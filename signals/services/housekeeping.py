"""What is done every few minutes regardless of events."""

from typing import Final

import structlog
from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection, transaction
from signals.store import incidents

IDLE_S: Final = 60 * 60  # specification: resolve when not seen for more than 60 minutes

log = structlog.get_logger(__name__)


def resolve_stale_incidents(pool: ConnectionPool[Connection]) -> int:
    """Resolve incidents not seen for an hour; return how many. Harmless when several do it at once.

    Raises:
        DependencyUnavailable: when PostgreSQL is away.
    """
    with transaction(pool) as connection:
        resolved = incidents.resolve_stale(connection, idle_s=IDLE_S)
    if resolved:
        log.info("incidents resolved by age", count=resolved)
    return resolved
