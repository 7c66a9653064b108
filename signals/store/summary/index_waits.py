"""Which summaries wait for the search index, and until when: the offset of each partition that it must reach.

The engine and the indexer read the same topic. What the engine had counted when a job first ran is in the
index once the indexer has passed the same offsets.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import LiteralString
from uuid import UUID

from psycopg.rows import class_row

from signals.clients.postgres import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Readers:
    """Two consumer groups of one topic: what `ahead` has read is awaited of `behind`."""

    topic: str
    ahead: str
    behind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexWait:
    """How many records the indexer has yet to settle for a job, and how long ago the job was created."""

    missing: int
    age: timedelta


# The goal is set once: if it moved with the engine, steady traffic would never reach it.
BEGIN: LiteralString = """
INSERT INTO pipeline.index_waits (job_id, offsets)
SELECT %(job_id)s, coalesce(jsonb_object_agg(partition::text, next_offset), '{}')
FROM pipeline.offsets WHERE consumer_group = %(ahead)s AND topic = %(topic)s
ON CONFLICT (job_id) DO NOTHING
"""


def begin(connection: Connection, job_id: UUID, readers: Readers) -> None:
    """Note how far the engine has read now, unless it was noted for this job before."""
    connection.execute(BEGIN, {"job_id": job_id, "ahead": readers.ahead, "topic": readers.topic})


FIND: LiteralString = """
SELECT (SELECT coalesce(sum(greatest(0, goal.value::bigint - coalesce(o.next_offset, 0))), 0)::bigint
        FROM jsonb_each_text(w.offsets) goal
        LEFT JOIN pipeline.offsets o ON o.consumer_group = %(behind)s AND o.topic = %(topic)s
                                     AND o.partition = goal.key::int) AS missing,
       now() - j.created_at AS age
FROM pipeline.index_waits w JOIN ai_jobs j ON j.id = w.job_id
WHERE w.job_id = %(job_id)s
"""


def find(connection: Connection, job_id: UUID, readers: Readers) -> IndexWait:
    """Return how far the indexer is from the goal of a job whose wait has begun."""
    values = {"job_id": job_id, "behind": readers.behind, "topic": readers.topic}
    with connection.cursor(row_factory=class_row(IndexWait)) as cursor:
        found = cursor.execute(FIND, values).fetchone()
    assert found is not None
    return found


END: LiteralString = "DELETE FROM pipeline.index_waits WHERE job_id = %(job_id)s"


def end(connection: Connection, job_id: UUID) -> int:
    """Forget the wait of a job that is compared for the last time."""
    return connection.execute(END, {"job_id": job_id}).rowcount


# A wait whose job is running, or ended without it, is no wait: only queued ones are counted.
HASTEN: LiteralString = """
WITH waiting AS (
    SELECT j.id, NOT EXISTS (
               SELECT FROM jsonb_each_text(w.offsets) goal
               LEFT JOIN pipeline.offsets o ON o.consumer_group = %(behind)s AND o.topic = %(topic)s
                                            AND o.partition = goal.key::int
               WHERE coalesce(o.next_offset, 0) < goal.value::bigint) AS is_reached
    FROM pipeline.index_waits w JOIN ai_jobs j ON j.id = w.job_id
    WHERE j.status = 'queued' AND j.run_after > now()
), hastened AS (
    UPDATE ai_jobs SET run_after = now()
    WHERE id = ANY (ARRAY(SELECT id FROM waiting WHERE is_reached)) AND status = 'queued'
    RETURNING id
)
SELECT count(*) FROM waiting WHERE NOT is_reached
"""


def hasten(connection: Connection, readers: Readers) -> int:
    """Make the jobs due whose goal the indexer has reached; return how many wait on."""
    row = connection.execute(HASTEN, {"behind": readers.behind, "topic": readers.topic}).fetchone()
    assert row is not None
    return int(row[0])
