"""Finished summaries."""

from collections.abc import Mapping
from typing import Final, LiteralString
from uuid import UUID

from psycopg.types.json import Jsonb

from signals.clients.postgres import Connection

OUTPUT_TYPE: Final = "summary"  # requirement R31

INSERT: LiteralString = """
INSERT INTO ai_outputs (id, incident_id, output_type, model, content_json, created_at)
SELECT %(output_id)s, %(incident_id)s, %(output_type)s, %(model)s, %(content)s, now()
WHERE NOT EXISTS (SELECT FROM ai_outputs o
                  WHERE o.incident_id = %(incident_id)s AND o.output_type = %(output_type)s
                    AND o.model = %(model)s AND o.content_json = %(content)s)
ON CONFLICT (id) DO NOTHING
"""


def insert(
    connection: Connection, *, output_id: UUID, incident_id: UUID, model: str, content: Mapping[str, object]
) -> bool:
    """Store one summary; False when there is one with this `output_id` or the same content, which stays."""
    values = {
        "output_id": output_id,
        "incident_id": incident_id,
        "output_type": OUTPUT_TYPE,
        "model": model,
        "content": Jsonb(dict(content)),
    }
    return connection.execute(INSERT, values).rowcount == 1


HAS_ANY: LiteralString = """
SELECT EXISTS (SELECT FROM ai_outputs WHERE incident_id = %(incident_id)s AND output_type = %(output_type)s)
"""


def has_any(connection: Connection, incident_id: UUID) -> bool:
    """Whether the incident has a summary."""
    values = {"incident_id": incident_id, "output_type": OUTPUT_TYPE}
    row = connection.execute(HAS_ANY, values).fetchone()
    assert row is not None
    return bool(row[0])


EXISTS: LiteralString = "SELECT EXISTS (SELECT FROM ai_outputs WHERE id = %(output_id)s)"


def exists(connection: Connection, output_id: UUID) -> bool:
    """Whether this output is stored."""
    row = connection.execute(EXISTS, {"output_id": output_id}).fetchone()
    assert row is not None
    return bool(row[0])


# Once in each outage; an incident that is in none yet counts alone.
INVESTIGATION_DUE: LiteralString = """
SELECT s.verdict = 'confirmed' AND NOT EXISTS (
    SELECT FROM ai_outputs o
    WHERE o.content_json ? 'investigation'
      AND (o.incident_id = s.incident_id
           OR o.incident_id IN (SELECT other.incident_id FROM pipeline.outage_members ours
                                JOIN pipeline.outage_members other ON other.outage_id = ours.outage_id
                                WHERE ours.incident_id = s.incident_id)))
FROM pipeline.incident_states s WHERE s.incident_id = %(incident_id)s
"""


def is_investigation_due(connection: Connection, incident_id: UUID) -> bool:
    """Whether the incident is confirmed, and no incident of its outage has been investigated."""
    row = connection.execute(INVESTIGATION_DUE, {"incident_id": incident_id}).fetchone()
    return bool(row and row[0])


NEWEST_CAUSES: LiteralString = """
SELECT content_json -> 'likely_causes' FROM ai_outputs
WHERE incident_id = %(incident_id)s AND output_type = %(output_type)s
ORDER BY created_at DESC LIMIT 1
"""


def newest_causes(connection: Connection, incident_id: UUID) -> list[str]:
    """Return the causes that the newest summary names, best first."""
    values = {"incident_id": incident_id, "output_type": OUTPUT_TYPE}
    row = connection.execute(NEWEST_CAUSES, values).fetchone()
    return [str(cause) for cause in row[0] or ()] if row else []
