"""Finished summaries."""

from collections.abc import Mapping
from typing import Final, LiteralString
from uuid import UUID

from psycopg.types.json import Jsonb

from signals.clients.postgres import Connection

OUTPUT_TYPE: Final = "summary"  # requirement R31

INSERT: LiteralString = """
INSERT INTO ai_outputs (id, incident_id, output_type, model, content_json, created_at)
VALUES (%(output_id)s, %(incident_id)s, %(output_type)s, %(model)s, %(content)s, now())
"""


def insert(
    connection: Connection, *, output_id: UUID, incident_id: UUID, model: str, content: Mapping[str, object]
) -> None:
    """Store one summary. The primary key refuses a second one with the same `output_id`."""
    values = {
        "output_id": output_id,
        "incident_id": incident_id,
        "output_type": OUTPUT_TYPE,
        "model": model,
        "content": Jsonb(dict(content)),
    }
    connection.execute(INSERT, values)
