"""The database holds the required tables (docs/requirements.md, R17 to R20) exactly, and ours apart."""

from typing import Final, LiteralString

import pytest
from psycopg.errors import ForeignKeyViolation, UniqueViolation
from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection

# Requirements R17 to R20: name, type, and pk, fk or null as they mark them.
SPECIFIED: Final[dict[str, str]] = {
    "orgs": "id text pk, name text, created_at timestamptz",
    "projects": "id text pk, org_id text fk, name text, created_at timestamptz",
    "project_api_keys": (
        "id uuid pk, project_id text fk, key_hash text, created_at timestamptz,"
        " revoked_at timestamptz null, last_used_at timestamptz null"
    ),
    "incidents": (
        "id uuid pk, org_id text, project_id text, environment text, fingerprint text, status text,"
        " severity text, title text, opened_at timestamptz, last_seen_at timestamptz,"
        " resolved_at timestamptz null"
    ),
    "incident_events": (
        "id bigserial pk, incident_id uuid fk, event_id uuid, occurred_at timestamptz, event_type text,"
        " severity text, attributes_json jsonb"
    ),
    "metrics_buckets": (
        "id bigserial pk, org_id text, project_id text, environment text, metric_name text,"
        " fingerprint text, bucket_start timestamptz, bucket_seconds int, value int, updated_at timestamptz"
    ),
    "ai_jobs": (
        "id uuid pk, incident_id uuid fk, job_type text, status text, attempt_count int, max_attempts int,"
        " run_after timestamptz, leased_until timestamptz null, last_error text null,"
        " created_at timestamptz, updated_at timestamptz"
    ),
    "ai_outputs": (
        "id uuid pk, incident_id uuid fk, output_type text, model text, content_json jsonb,"
        " created_at timestamptz"
    ),
}
# What the library that applies migrations writes down for itself.
BOOKKEEPING: Final = {"_yoyo_log", "_yoyo_migration", "_yoyo_version", "yoyo_lock"}

FOREIGN: Final = {
    "projects.org_id": "orgs",
    "project_api_keys.project_id": "projects",
    "incident_events.incident_id": "incidents",
    "ai_jobs.incident_id": "incidents",
    "ai_outputs.incident_id": "incidents",
}

COLUMNS: LiteralString = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod),
       EXISTS (SELECT FROM pg_constraint c
               WHERE c.conrelid = a.attrelid AND c.contype = 'p' AND c.conkey = ARRAY[a.attnum]),
       (SELECT c.confrelid::regclass::text FROM pg_constraint c
        WHERE c.conrelid = a.attrelid AND c.contype = 'f' AND c.conkey = ARRAY[a.attnum]),
       pg_get_serial_sequence(a.attrelid::regclass::text, a.attname) IS NOT NULL,
       a.attnotnull
FROM pg_attribute a
WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
"""
_LONG: Final = {"timestamp with time zone": "timestamptz", "integer": "int"}


def _described(connection: Connection, table: str) -> tuple[str, dict[str, str], set[str]]:
    """Return a table in the requirement's words, what its columns refer to, and its NOT NULL columns."""
    words, foreign, required = [], {}, set()
    for name, type_, is_key, referred, is_serial, not_null in connection.execute(COLUMNS, (table,)):
        word = "bigserial" if is_serial and type_ == "bigint" else _LONG.get(type_, type_)
        words.append(f"{name} {word}" + (" pk" if is_key else "") + (" fk" if referred else ""))
        if referred:
            foreign[f"{table}.{name}"] = referred
        if not_null:
            required.add(name)
    return ", ".join(words), foreign, required


@pytest.mark.parametrize("table", SPECIFIED)
def test_a_specified_table_has_exactly_its_columns(pool: ConnectionPool[Connection], table: str) -> None:
    with pool.connection() as connection:
        described, foreign, required = _described(connection, table)
    assert described == SPECIFIED[table].replace(" null", "")
    assert foreign == {column: to for column, to in FOREIGN.items() if column.startswith(f"{table}.")}
    assert required == {"id"}  # the requirements ask NOT NULL of nothing but keys


def test_schema_has_no_other_tables(pool: ConnectionPool[Connection]) -> None:
    query: LiteralString = (
        "SELECT schemaname, tablename FROM pg_tables WHERE schemaname !~ '^(pg_|information_)'"
    )
    with pool.connection() as connection:
        found = connection.execute(query).fetchall()
    assert {name for schema, name in found if schema == "public"} == set(SPECIFIED) | BOOKKEEPING
    assert {schema for schema, _ in found} == {"public", "pipeline", "people"}


def test_buckets_have_the_specified_unique_index(pool: ConnectionPool[Connection]) -> None:
    query: LiteralString = """
        SELECT pg_get_indexdef(indexrelid) FROM pg_index
        WHERE indrelid = 'metrics_buckets'::regclass AND indisunique AND NOT indisprimary
    """
    with pool.connection() as connection:
        definitions = [definition for (definition,) in connection.execute(query)]
    assert [definition.partition(" USING ")[2] for definition in definitions] == [
        "btree (project_id, environment, metric_name, fingerprint, bucket_start, bucket_seconds)"
    ]


INCIDENT: LiteralString = """
INSERT INTO incidents (id, org_id, project_id, environment, fingerprint, status)
VALUES (gen_random_uuid(), 'org_1', %(project)s, %(environment)s, 'E|/r|prod', %(status)s)
RETURNING id
"""


def _incident(
    connection: Connection, status: str, *, project: str = "proj_1", environment: str = "prod"
) -> object:
    values = {"project": project, "environment": environment, "status": status}
    row = connection.execute(INCIDENT, values).fetchone()
    assert row is not None
    return row[0]


@pytest.mark.parametrize("status", ["open", "investigating"])
def test_a_fingerprint_has_one_unresolved_incident(pool: ConnectionPool[Connection], status: str) -> None:
    with pool.connection() as connection:
        for _ in range(2):
            _incident(connection, "resolved")
        _incident(connection, "open")
        _incident(connection, status, project="proj_2")
        _incident(connection, status, environment="dev")
        with pytest.raises(UniqueViolation, match="incidents_one_open"), connection.transaction():
            _incident(connection, status)


JOB: LiteralString = """
INSERT INTO ai_jobs (id, incident_id, job_type, status)
VALUES (gen_random_uuid(), %(incident)s, %(job_type)s, %(status)s)
"""


def _job(connection: Connection, incident: object, status: str, job_type: str = "incident_summary") -> None:
    connection.execute(JOB, {"incident": incident, "job_type": job_type, "status": status})


@pytest.mark.parametrize("status", ["queued", "running"])
def test_an_incident_has_one_live_job_of_a_type(pool: ConnectionPool[Connection], status: str) -> None:
    with pool.connection() as connection:
        incident = _incident(connection, "open")
        for done in ("succeeded", "failed", "succeeded"):
            _job(connection, incident, done)
        _job(connection, incident, "queued")
        _job(connection, incident, status, "another_type")
        with pytest.raises(UniqueViolation, match="ai_jobs_one_live"), connection.transaction():
            _job(connection, incident, status)


def test_a_job_needs_its_incident(pool: ConnectionPool[Connection]) -> None:
    with pool.connection() as connection, pytest.raises(ForeignKeyViolation), connection.transaction():
        _job(connection, "00000000-0000-4000-8000-000000000000", "queued")
