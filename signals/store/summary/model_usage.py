"""Tokens and costs of the model by project and day in UTC."""

from typing import LiteralString

from signals.clients.postgres import Connection

SPENT: LiteralString = """
SELECT coalesce(sum(tokens_in + tokens_out), 0)::bigint FROM pipeline.model_usage
WHERE project_id = %(project_id)s AND day = (now() AT TIME ZONE 'UTC')::date
"""


def tokens_today(connection: Connection, project_id: str) -> int:
    """Return the tokens that a project has used today."""
    row = connection.execute(SPENT, {"project_id": project_id}).fetchone()
    assert row is not None
    return int(row[0])


ADD: LiteralString = """
INSERT INTO pipeline.model_usage AS used (project_id, day, model, requests, tokens_in, tokens_out, cost)
VALUES (%(project_id)s, (now() AT TIME ZONE 'UTC')::date, %(model)s, 1, %(tokens_in)s, %(tokens_out)s,
        %(cost)s)
ON CONFLICT (project_id, day, model) DO UPDATE
SET requests = used.requests + 1, tokens_in = used.tokens_in + excluded.tokens_in,
    tokens_out = used.tokens_out + excluded.tokens_out,
    cost = CASE WHEN excluded.cost IS NULL THEN used.cost ELSE coalesce(used.cost, 0) + excluded.cost END
"""


def add(
    connection: Connection,
    project_id: str,
    model: str,
    *,
    tokens_in: int,
    tokens_out: int,
    cost: float | None,
) -> None:
    """Count one call of the model."""
    values = {"project_id": project_id, "model": model, "cost": cost}
    connection.execute(ADD, values | {"tokens_in": tokens_in, "tokens_out": tokens_out})
