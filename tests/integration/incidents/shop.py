"""A project whose incidents open and end at will, grouped as the engine and its duties group them."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, LiteralString
from uuid import UUID, uuid4

from psycopg_pool import ConnectionPool

from shared_types import Fingerprint
from shared_types.grouping import GROUPING_VERSION
from signals.clients.postgres import Connection, transaction
from signals.domain.detection.buckets import Series, minute_of
from signals.services.grouping import group
from signals.services.incidents.settling import Settling
from signals.store.detection import buckets
from signals.store.incidents import outages
from tests.support.events import NOON, TENANCY

INSERT: LiteralString = """
INSERT INTO incidents (id, org_id, project_id, environment, fingerprint, status, severity, title, opened_at,
                       last_seen_at)
VALUES (%s, %s, %s, %s, %s, 'open', %s, %s, %s, %s)
"""
STATE: LiteralString = """
INSERT INTO pipeline.incident_states (incident_id, kind, verdict, grouping, confirmed_at)
VALUES (%s, 'change', %s, %s, %s)
"""
END: LiteralString = """
WITH ended AS (UPDATE incidents SET status = 'resolved', resolved_at = now() - %(ago)s WHERE id = %(id)s)
UPDATE pipeline.incident_states SET resolve_reason = %(reason)s WHERE incident_id = %(id)s
"""
AGE: LiteralString = """
UPDATE pipeline.outages SET created_at = created_at - %(by)s, resolved_at = resolved_at - %(by)s
"""
OUTAGES: LiteralString = """
SELECT o.id, o.cause_attribute, o.cause_value, o.status, o.verdict, o.severity, o.reopened, o.regression_of,
       o.settled_at IS NOT NULL AS is_settled, o.window_id, o.resolve_reason, o.confirmed_at,
       (SELECT array_agg(m.fingerprint ORDER BY m.opened_at, m.fingerprint)
        FROM pipeline.outage_members m WHERE m.outage_id = o.id) AS series
FROM pipeline.outages o
WHERE o.merged_into IS NULL
ORDER BY o.opened_at, o.created_at, o.id
"""


def at(minute: float) -> datetime:
    """Return an instant, in minutes after noon."""
    return NOON + timedelta(minutes=minute)


class Shop:
    """One project. Minutes are after noon, in the time of its events; `pass_minutes` moves the clock."""

    def __init__(
        self,
        pool: ConnectionPool[Connection],
        project_id: str = TENANCY.project_id,
        *,
        noon: datetime = NOON,
    ) -> None:
        self._pool = pool
        self._noon = noon
        self._project_id = project_id
        self._settling = Settling(pool)

    def has_series(self, fingerprints: Iterable[str], minute: int = -30) -> None:
        """Let series have an event, so that they could fire."""
        with transaction(self._pool) as connection:
            counted = {(self._series(one), minute_of(self._at(minute))): 1 for one in fingerprints}
            buckets.increment(connection, counted)

    def opens(
        self,
        *fingerprints: str,
        minute: float = 0,
        verdict: str | None = "confirmed",
        grouping: int = GROUPING_VERSION,
    ) -> list[UUID]:
        """Open incidents in one transaction, as the engine does; return their ids."""
        with transaction(self._pool) as connection:
            ids = [self._insert(connection, one, self._at(minute), verdict, grouping) for one in fingerprints]
            group(connection, ids)
        return ids

    def _insert(
        self, connection: Connection, fingerprint: str, opened: datetime, verdict: str | None, grouping: int
    ) -> UUID:
        incident_id = uuid4()
        environment = Fingerprint.parse(fingerprint).environment.value
        row = (incident_id, TENANCY.org_id, self._project_id, environment, fingerprint)
        connection.execute(INSERT, (*row, "error", f"Errors of {fingerprint}", opened, opened))
        confirmed_at = opened if verdict == "confirmed" else None
        connection.execute(STATE, (incident_id, verdict, grouping, confirmed_at))
        return incident_id

    def ends(self, *incidents: UUID, reason: str = "quiet", minutes_ago: float = 0) -> None:
        """Resolve incidents, and let outages follow."""
        with transaction(self._pool) as connection:
            for incident_id in incidents:
                parameters = {"id": incident_id, "reason": reason, "ago": timedelta(minutes=minutes_ago)}
                connection.execute(END, parameters)
        self.round()

    def pass_minutes(self, minutes: float) -> None:
        """Let outages be that much older, and do a round."""
        with transaction(self._pool) as connection:
            outages.lock_projects(connection, [self._project_id])
            connection.execute(AGE, {"by": timedelta(minutes=minutes)})
        self.round()

    def round(self) -> None:
        """Settle and follow once, with the first round's adoption behind it."""
        self._settling.round()

    def outages(self) -> list[dict[str, Any]]:
        """Return the outages in order of opening."""
        with self._pool.connection() as connection:
            cursor = connection.execute(OUTAGES)
            assert cursor.description
            names = [column.name for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor]

    def causes(self) -> list[tuple[str, int]]:
        """Return each outage's cause, in words, and its number of incidents."""
        return [
            (
                f"{one['cause_attribute']}={one['cause_value']}" if one["cause_attribute"] else "alone",
                len(one["series"]),
            )
            for one in self.outages()
        ]

    def _at(self, minute: float) -> datetime:
        return self._noon + timedelta(minutes=minute)

    def _series(self, fingerprint: str) -> Series:
        named = Fingerprint.parse(fingerprint)
        return Series(
            self._project_id, named.environment.value, named.metric_name, fingerprint, TENANCY.org_id
        )
