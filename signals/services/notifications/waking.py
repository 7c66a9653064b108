"""Ends snoozes: when their time is over, when enough events came, when the outage is worse, or over."""

from datetime import datetime
from typing import Final

import structlog
from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection, transaction
from signals.store.incidents import incident_changes, outage_cares
from signals.store.incidents.outage_cares import SnoozedOutage

MAX_SNOOZED: Final = 500  # guess: looked at in one round, some 50 ms

log = structlog.get_logger(__name__)


def wake_due(pool: ConnectionPool[Connection], now: datetime) -> int:
    """Wake outages, each once however many notifiers do it and in a transaction of its own; return how many.

    Raises:
        DependencyUnavailable: when PostgreSQL is away.
    """
    with transaction(pool) as connection:
        found = [
            (snoozed, reason)
            for snoozed in outage_cares.snoozed(connection, rows=MAX_SNOOZED)
            if (reason := _reason(connection, snoozed, now)) is not None
        ]
    for snoozed, reason in found:
        with transaction(pool) as connection:
            incident_changes.act_on(connection, snoozed.first_incident_id, "notifier")
            if not outage_cares.wake(connection, snoozed.outage_id):
                continue  # another notifier, or a person, was faster
            detail = {"snoozed_until": None, "reason": reason}
            incident_changes.note(connection, snoozed.first_incident_id, "woken", detail)
        log.info("outage woken", outage_id=str(snoozed.outage_id), reason=reason)
    return len(found)


def _reason(connection: Connection, snoozed: SnoozedOutage, now: datetime) -> str | None:
    if snoozed.is_over:
        return "resolved"
    if snoozed.is_worse:
        return "worse"
    if snoozed.snoozed_until <= now:
        return "its time is over"
    if snoozed.wake_after is not None:
        events = outage_cares.events_since(connection, snoozed)
        if events >= snoozed.wake_after:
            return f"{events} events"
    return None
