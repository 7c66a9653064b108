"""Code shared by the peers that count in memory: decode, name the bucket, add a batch to its row.

Each does less than the engine: no validation, no escaping, no recognition of repeated events, no rules.
"""

import os
from collections.abc import Mapping

import orjson
import psycopg

Bucket = tuple[str, str, str, str, str, str]
"""org, project, environment, metric, fingerprint, minute (RFC 3339 up to the minute)."""

# Table, unique index and statement are the product's own (signals/store/detection/buckets.py).
ADD = """
INSERT INTO metrics_buckets (org_id, project_id, environment, metric_name, fingerprint,
                             bucket_start, bucket_seconds, value, updated_at)
SELECT r.org_id, r.project_id, r.environment, r.metric_name, r.fingerprint,
       (r.minute || ':00Z')::timestamptz, 60, r.events, now()
FROM json_to_recordset(%s::json) AS r(org_id text, project_id text, environment text,
     metric_name text, fingerprint text, minute text, events int)
ON CONFLICT (project_id, environment, metric_name, fingerprint, bucket_start, bucket_seconds)
DO UPDATE SET value = metrics_buckets.value + excluded.value, updated_at = excluded.updated_at
"""
COLUMNS = ("org_id", "project_id", "environment", "metric_name", "fingerprint", "minute", "events")


def bucket_of(value: bytes) -> Bucket:
    """Return the bucket of one record; the benchmark's topic holds errors and signups only."""
    event = orjson.loads(value)
    environment = event["environment"]
    minute = event["occurred_at"][:16]
    if event["event_type"] == "signup":
        return (
            event["org_id"],
            event["project_id"],
            environment,
            "signup_count",
            f"signup|{environment}",
            minute,
        )
    attributes = event["attributes"]
    fingerprint = f"{attributes['error_code']}|{attributes['route']}|{environment}"
    return event["org_id"], event["project_id"], environment, "error_count", fingerprint, minute


def connect() -> psycopg.Connection:
    """Connect to the row's database."""
    return psycopg.connect(os.environ["DATABASE_URL"])


def add(connection: psycopg.Connection, counts: Mapping[Bucket, int]) -> None:
    """Add a batch in one statement and commit; sorted, so that two writers never deadlock."""
    rows = [dict(zip(COLUMNS, (*bucket, counts[bucket]), strict=True)) for bucket in sorted(counts)]
    connection.execute(ADD, [orjson.dumps(rows).decode()])
    connection.commit()
