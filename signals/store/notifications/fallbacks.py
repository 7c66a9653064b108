"""Passes incidents on to the fallback of a destination that fails or is disabled."""

from collections.abc import Callable, Collection, Mapping
from typing import LiteralString
from uuid import UUID, uuid4

from signals.clients.postgres import Connection
from signals.domain.notifications.delivery import NO_MAX_ATTEMPTS

# The same subjects at the fallback, unless it tells of them already: in its message about the outage, if it
# has one, else in a new one. A planner may be faster: its row then stays.
TELL_FALLBACK: LiteralString = """
WITH passed AS (
    SELECT s.subject_id FROM pipeline.notice_subjects s
    WHERE s.notice_id = %(notice_id)s AND NOT EXISTS (
        SELECT FROM pipeline.notice_subjects t
        WHERE t.destination_id = %(fallback_id)s AND t.subject_id = s.subject_id)
), outages AS (
    SELECT outage_id FROM pipeline.notice_outages WHERE notice_id = %(notice_id)s
), home AS (
    SELECT notice_id FROM pipeline.notice_outages
    WHERE destination_id = %(fallback_id)s AND outage_id IN (SELECT outage_id FROM outages)
    ORDER BY outage_id LIMIT 1
), made AS (
    INSERT INTO pipeline.notices (id, destination_id, subject_id, is_storm, wanted, run_after, max_attempts)
    SELECT %(new_id)s, %(fallback_id)s, n.subject_id, n.is_storm, %(wanted)s, now(), %(max_attempts)s
    FROM pipeline.notices n
    WHERE n.id = %(notice_id)s AND EXISTS (SELECT FROM passed) AND NOT EXISTS (SELECT FROM home)
    RETURNING id AS notice_id
), used AS (
    SELECT notice_id FROM home UNION ALL SELECT notice_id FROM made
), registered AS (
    INSERT INTO pipeline.notice_outages (destination_id, outage_id, notice_id)
    SELECT %(fallback_id)s, outage_id, notice_id FROM outages CROSS JOIN used
    ON CONFLICT (destination_id, outage_id) DO NOTHING
), asked AS (
    UPDATE pipeline.notices n SET wanted = greatest(n.wanted, %(wanted)s), run_after = now(),
           status = CASE WHEN n.status = 'running' THEN 'running' ELSE 'queued' END, updated_at = now()
    FROM home WHERE n.id = home.notice_id AND EXISTS (SELECT FROM passed)
)
INSERT INTO pipeline.notice_subjects (destination_id, subject_id, notice_id)
SELECT %(fallback_id)s, subject_id, notice_id FROM passed CROSS JOIN used
ON CONFLICT (destination_id, subject_id) DO NOTHING
"""


def pass_on(connection: Connection, notice_id: UUID, *, version: int, fallback_id: UUID) -> None:
    """Have the fallback tell what this destination cannot."""
    values = {
        "notice_id": notice_id,
        "fallback_id": fallback_id,
        "new_id": uuid4(),
        "wanted": version,
        "max_attempts": NO_MAX_ATTEMPTS,
    }
    connection.execute(TELL_FALLBACK, values)


STAND_INS: LiteralString = """
SELECT id, fallback_id FROM pipeline.destinations
WHERE project_id = ANY(%(project_ids)s) AND state = 'disabled' AND fallback_id IS NOT NULL
"""


def stand_ins(connection: Connection, project_ids: Collection[str]) -> Callable[[], Mapping[UUID, UUID]]:
    """Read the fallbacks of disabled destinations; the call awaits the rows."""
    rows = connection.execute(STAND_INS, {"project_ids": list(project_ids)})
    return lambda: dict(rows.fetchall())
