"""Writes one hostile text into every field that a page of the console shows."""

from typing import Any
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection, transaction


def _contents(incident_id: UUID, hostile: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the content of a summary, and that of an answer to a question."""
    summary = {
        name: [hostile, f"[E1 {uuid4()}] {hostile}"] for name in ("likely_causes", "evidence", "next_steps")
    }
    checked = {
        "claimed": 1,
        "verified": 0,
        "note": hostile,
        "dropped": [{"text": hostile, "reason": hostile}],
    }
    tool = {"ref": hostile, "tool": hostile, "arguments": hostile, "result": hostile}
    said = {
        "statements": [{"text": hostile, "refs": [hostile]}],
        "dropped": [{"text": hostile, "reason": hostile}],
        "tools": [tool],
        "run": {"model": hostile, "prompt": hostile},
    }
    beside = {"incident_id": str(incident_id), "opened_at": "2026-01-01T00:00:00+00:00"}
    around = {
        "past": [beside | {"alike": hostile, "cause": hostile}, beside | {"incident_id": hostile}],
        "concurrent": [beside | {"severity": hostile, "fingerprint": hostile}],
    }
    further = {"investigation": said, "surroundings": around, "run": {"prompt": hostile, "cost": hostile}}
    return summary | {"impact": hostile, "verification": checked} | further, said


def store_everywhere(pool: ConnectionPool[Connection], incident_id: UUID, hostile: str) -> None:
    """Write the text into all that stands around an incident of the project `shop`."""
    summary, said = _contents(incident_id, hostile)
    with transaction(pool) as connection:
        connection.execute(
            "INSERT INTO ai_outputs (id, incident_id, output_type, model, content_json, created_at)"
            " VALUES (%s, %s, 'summary', %s, %s, now())",
            [uuid4(), incident_id, hostile, Jsonb(summary)],
        )
        connection.execute(
            "INSERT INTO pipeline.questions (id, incident_id, project_id, actor, question, answer)"
            " VALUES (%s, %s, 'shop', %s, %s, %s)",
            [uuid4(), incident_id, hostile, hostile, Jsonb(said | {"failed": hostile})],
        )
        connection.execute(
            "INSERT INTO ai_jobs (id, incident_id, job_type, status, attempt_count, max_attempts, run_after,"
            " last_error, created_at, updated_at)"
            " VALUES (%s, %s, 'incident_summary', 'failed', 1, 5, now(), %s, now(), now())",
            [uuid4(), incident_id, hostile],
        )
        connection.execute(
            "INSERT INTO incident_events (incident_id, event_id, occurred_at, event_type, severity,"
            " attributes_json) VALUES (%s, %s, now(), 'error', 'error', %s)",
            [incident_id, uuid4(), Jsonb({"message": hostile, hostile: hostile, "release": hostile})],
        )
        connection.execute(
            "INSERT INTO pipeline.maintenance (id, project_id, starts_at, ends_at, reason, fingerprint,"
            " created_by) VALUES (%s, 'shop', now(), now() + interval '1 hour', %s, %s, %s)",
            [uuid4(), hostile, hostile, hostile],
        )
        connection.execute(
            "INSERT INTO pipeline.ledger (project_id, minute_at, stage, outcome, partition, events)"
            " VALUES ('shop', date_trunc('minute', now()), 'ingest-api', %s, -1, 1)",
            [f"refused:sentry:{hostile}"],
        )
        connection.execute("UPDATE people.users SET name = %s", [hostile[:80]])
        connection.execute("UPDATE projects SET name = %s WHERE id = 'shop'", [hostile])
