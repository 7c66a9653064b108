"""Duties that run every few minutes, with or without events."""

from typing import Final

import structlog
from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection, transaction
from signals.domain.incidents.episode import IDLE_MINUTES
from signals.domain.ledger import Audit
from signals.store.incidents import incident_changes, incidents, outage_states
from signals.store.ledger import ledger

IDLE_S: Final = IDLE_MINUTES * 60
LEDGER_DAYS: Final = 7  # as long as Kafka keeps the events themselves
LEDGER_ROWS: Final = 5_000  # guess: deleted within a second

log = structlog.get_logger(__name__)


def resolve_stale_incidents(pool: ConnectionPool[Connection]) -> int:
    """Resolve incidents not seen for an hour, with their outages; return how many.

    Harmless when several do it at once.

    Raises:
        DependencyUnavailable: when PostgreSQL is away.
    """
    with transaction(pool) as connection:
        incident_changes.act_as(connection, "housekeeping")
        resolved = incidents.resolve_stale(connection, idle_s=IDLE_S)
        if resolved:
            outage_states.follow_lively(connection)
    if resolved:
        log.info("incidents resolved by age", count=resolved)
    return resolved


def trim_ledger(pool: ConnectionPool[Connection]) -> int:
    """Delete a bounded number of the ledger's oldest rows; return how many. The next round goes on.

    Raises:
        DependencyUnavailable: when PostgreSQL is away.
    """
    with transaction(pool) as connection:
        return ledger.trim(connection, days=LEDGER_DAYS, rows=LEDGER_ROWS)


def log_audit(audit: Audit) -> None:
    """Log an audit that found events missing: that is an incident of this system."""
    if audit.state == "unbalanced":
        log.error("events are missing", **{stage.replace("-", "_"): n for stage, n in audit.missing.items()})
