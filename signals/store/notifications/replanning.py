"""Has changes planned again that a disabled destination missed."""

from datetime import timedelta
from typing import Final, LiteralString
from uuid import UUID

from signals.clients.postgres import Connection

REACH: Final = timedelta(days=30)  # guess: nobody waits for the end of what is older

# The newest change of what is not resolved, and of what ended after its opening was told. A change that a
# planner holds is planned anyway, and waiting for it could deadlock: it waits for the destination.
PLAN_AGAIN: LiteralString = """
WITH missed AS (
    SELECT i.id FROM incidents i
    JOIN pipeline.destinations d ON d.project_id = i.project_id
    WHERE d.id = %(destination_id)s AND i.status <> 'resolved'
    UNION
    SELECT s.subject_id FROM pipeline.notices n
    JOIN pipeline.notice_subjects s ON s.notice_id = n.id
    WHERE n.destination_id = %(destination_id)s AND n.updated_at > now() - %(reach)s
      AND (n.sends > 0 OR n.tried_state IS NOT NULL)
      AND (n.status = 'failed' OR n.wanted < (SELECT max(c.id) FROM pipeline.incident_changes c
                                              WHERE c.incident_id = s.subject_id))
), newest AS (
    SELECT c.id FROM pipeline.incident_changes c
    WHERE c.id IN (SELECT (SELECT max(o.id) FROM pipeline.incident_changes o WHERE o.incident_id = missed.id)
                   FROM missed)
      AND c.planned_at IS NOT NULL
    FOR UPDATE SKIP LOCKED
)
UPDATE pipeline.incident_changes SET planned_at = NULL WHERE id IN (SELECT id FROM newest)
"""


def plan_again(connection: Connection, destination_id: UUID) -> int:
    """Have planners look again at what the destination was not told while it was disabled; return how many.

    The caller has locked the destination. Other destinations are told nothing that they know.
    """
    return connection.execute(PLAN_AGAIN, {"destination_id": destination_id, "reach": REACH}).rowcount
