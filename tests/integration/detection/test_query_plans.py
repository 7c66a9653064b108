"""The engine reads bucket ranges and incidents by key, never more: seen in the plans of what it runs.

The tables are crowded, and every promise must hold before they were ever analyzed as well as after.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Final, LiteralString, cast

import psycopg
import pytest
from psycopg import sql
from psycopg_pool import ConnectionPool
from pydantic import SecretStr

from shared_types import Envelope, MetricName, Tenancy
from signals.clients.kafka.publisher import Publisher
from signals.clients.postgres import Connection, conninfo, transaction
from signals.domain.detection.buckets import Series, instant_of, ranges
from signals.domain.detection.counts import MINUTES_READ
from signals.domain.detection.rule_text import parse_rules
from signals.domain.detection.severity import IncidentSeverity
from signals.local.stack import RunningStack
from signals.services.access.provisioning import create_org, create_project
from signals.services.detection import IncidentEngine
from signals.settings import KafkaSettings, PostgresSettings
from signals.store.detection import (
    buckets,
    due_series,
    own_series,
    rule_minutes,
    rule_states,
    rules,
    waiting_series,
)
from signals.store.detection import hours as hours_store
from signals.store.detection.rule_minutes import MinuteRange
from signals.store.incidents import incident_events, incident_states, incidents
from signals.store.incidents.incidents import Touch
from tests.integration.detection.explaining import ExplainingConnection, Scan
from tests.support.consuming import PARTITIONS
from tests.support.events import event, publish
from tests.support.own_rules import OwnEngine
from tests.support.waiting import until

FIRST: Final = 29_000_000  # the first of 500 minutes that have buckets, in February 2025
AT: Final = FIRST + 400
OPEN: Final = 400  # incidents, one a series

# 200,000 buckets; 20,000 incidents of which one a series is open; 80,000 representatives; 20,400 watched
# series, of which the clock watches 40; 320,000 hours; 2,000 series of an own rule, 20 of them due.
FILL: Final[tuple[LiteralString, ...]] = (
    "ALTER TABLE metrics_buckets SET (autovacuum_enabled = false)",
    "ALTER TABLE incidents SET (autovacuum_enabled = false)",
    "ALTER TABLE incident_events SET (autovacuum_enabled = false)",
    "ALTER TABLE ai_jobs SET (autovacuum_enabled = false)",
    "ALTER TABLE pipeline.rule_series SET (autovacuum_enabled = false)",
    "ALTER TABLE pipeline.rule_state SET (autovacuum_enabled = false)",
    "ALTER TABLE pipeline.metrics_hours SET (autovacuum_enabled = false)",
    "ALTER TABLE pipeline.rule_minutes SET (autovacuum_enabled = false)",
    """
    CREATE VIEW series AS
    SELECT n, 'org_1' AS org_id, 'proj_' || n % 40 AS project_id, 'error_count' AS metric_name,
           'E' || n || '|/r|prod' AS fingerprint
    FROM generate_series(1, 360) n
    UNION ALL
    SELECT n, 'org_1', 'proj_' || n % 40, 'signup_count', 'signup|prod' FROM generate_series(361, 400) n
    """,
    """
    INSERT INTO metrics_buckets (org_id, project_id, environment, metric_name, fingerprint, bucket_start,
                                 bucket_seconds, value, updated_at)
    SELECT org_id, project_id, 'prod', metric_name, fingerprint, to_timestamp((29000000 + m) * 60), 60, 3,
           now()
    FROM series, generate_series(0, 499) m
    """,
    """
    INSERT INTO incidents
    SELECT gen_random_uuid(), org_id, project_id, 'prod', fingerprint,
           CASE WHEN age = 0 THEN 'open' ELSE 'resolved' END, 'warn', 'title', now(), now(), NULL
    FROM generate_series(0, 49) age, series
    """,
    """
    INSERT INTO incident_events (incident_id, event_id, occurred_at, event_type, severity, attributes_json)
    SELECT i.id, gen_random_uuid(), to_timestamp((29000000 + m) * 60), 'error', 'error', '{}'
    FROM (SELECT id FROM incidents ORDER BY status LIMIT 4000) i, generate_series(380, 399) m
    """,
    """
    INSERT INTO ai_jobs
    SELECT gen_random_uuid(), id, 'incident_summary', 'succeeded', 0, 3, now(), NULL, NULL, now(), now()
    FROM incidents
    """,
    """
    INSERT INTO pipeline.rule_series (org_id, project_id, environment, metric_name, fingerprint,
                                      first_bucket_at)
    SELECT org_id, project_id, 'prod', metric_name, fingerprint, to_timestamp(29000000 * 60) FROM series
    UNION ALL
    SELECT 'org_1', 'proj_' || n % 40, 'staging', 'error_count', 'E' || n || '|/r|staging',
           to_timestamp(29000000 * 60)
    FROM generate_series(1, 20000) n
    """,
    """
    INSERT INTO pipeline.rule_state (series_id, partition, by_clock, needs_history, judged_at)
    SELECT id, id % 3, metric_name = 'signup_count', false, to_timestamp((29000000 + 399) * 60)
    FROM pipeline.rule_series
    """,
    """
    INSERT INTO pipeline.metrics_hours
    SELECT s.id, to_timestamp((29000000 / 60 - h) * 3600), 3, 60, 3
    FROM pipeline.rule_series s, generate_series(1, 800) h WHERE s.environment = 'prod'
    """,
    """
    INSERT INTO pipeline.rule_series (org_id, project_id, environment, metric_name, fingerprint,
                                      first_bucket_at)
    SELECT 'org_1', 'proj_1', 'prod', 'rule:mine:1', 'rule:mine:1|rate|error|route=/' || n,
           to_timestamp(29000000 * 60)
    FROM generate_series(1, 2000) n
    """,
    """
    INSERT INTO pipeline.rule_state (series_id, partition, by_clock, is_due, needs_history, judged_at)
    SELECT id, id % 3, false, id % 100 = 0, false, to_timestamp((29000000 + 399) * 60)
    FROM pipeline.rule_series WHERE metric_name = 'rule:mine:1'
    """,
    """
    INSERT INTO pipeline.rule_minutes
    SELECT s.id, to_timestamp((29000000 + m) * 60), 3, 5
    FROM (SELECT id FROM pipeline.rule_series WHERE metric_name = 'rule:mine:1' LIMIT 200) s,
         generate_series(0, 499) m
    """,
)


@pytest.fixture(scope="module")
def crowded_template(servers: RunningStack, template_database: str) -> Iterator[str]:
    """The name of a crowded database that was never analyzed, to be cloned."""
    with _cloned(servers, template_database, "crowded_template") as settings:
        with psycopg.connect(conninfo(settings), autocommit=True) as connection:
            for statement in FILL:
                connection.execute(statement)
        yield "crowded_template"


@pytest.fixture
def crowded(servers: RunningStack, crowded_template: str) -> Iterator[PostgresSettings]:
    """A crowded database of the test's own."""
    with _cloned(servers, crowded_template, "crowded") as settings:
        yield settings


@contextmanager
def _cloned(servers: RunningStack, template: str, clone: str) -> Iterator[PostgresSettings]:
    """Have a copy of a database while the context lasts."""
    names = {"clone": sql.Identifier(clone), "template": sql.Identifier(template)}
    with psycopg.connect(conninfo(_database(servers, "postgres")), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {clone} TEMPLATE {template}").format(**names))
        yield _database(servers, clone)
        connection.execute(sql.SQL("DROP DATABASE {clone} WITH (FORCE)").format(**names))


def _database(servers: RunningStack, name: str) -> PostgresSettings:
    base = servers.environment["DATABASE_URL"].rpartition("/")[0]
    return PostgresSettings(database_url=SecretStr(f"{base}/{name}"), pg_sslmode="disable")


def _series(number: int) -> Series:
    metric: MetricName = "error_count" if number <= 360 else "signup_count"
    name = f"E{number}|/r|prod" if number <= 360 else "signup|prod"
    return Series(f"proj_{number % 40}", "prod", metric, name, "org_1")


MANY: Final = [_series(number) for number in range(1, 401, 20)]  # 18 of errors, 2 of signups


@pytest.fixture(params=[False, True], ids=["never analyzed", "analyzed"])
def pool(crowded: PostgresSettings, request: pytest.FixtureRequest) -> Iterator[ConnectionPool[Connection]]:
    """A pool of one connection that explains, on a crowded database."""
    with ConnectionPool(
        conninfo(crowded), connection_class=ExplainingConnection, min_size=1, max_size=1, open=True
    ) as explaining:
        if request.param:
            with explaining.connection() as connection:
                connection.execute("ANALYZE")
        yield cast(ConnectionPool[Connection], explaining)


@pytest.fixture
def connection(pool: ConnectionPool[Connection]) -> Iterator[ExplainingConnection]:
    """Its connection."""
    with pool.connection() as connection:
        assert isinstance(connection, ExplainingConnection)
        yield connection


def test_buckets_are_read_by_one_range_of_the_unique_index(connection: ExplainingConnection) -> None:
    buckets.read(connection, list(ranges({_series(1): [AT]}, MINUTES_READ)))
    (scan,) = connection.taken()
    assert (scan.node, scan.index, scan.rows) == ("Index Scan", "metrics_buckets_series", MINUTES_READ)
    buckets.read(connection, list(ranges({series: [AT] for series in MANY}, MINUTES_READ)))
    (scan,) = connection.taken()
    assert (scan.index, scan.rows) == ("metrics_buckets_series", len(MANY) * MINUTES_READ)


def test_states_and_hours_are_read_by_key(connection: ExplainingConnection) -> None:
    found = rule_states.load(connection, MANY)
    assert len(found) == len(MANY)
    _assert_by_key(connection.taken(), len(MANY))
    wanted = {stored.series_id: range(29_000_000 // 60 - 18, 29_000_000 // 60) for stored in found.values()}
    assert all(len(hours) == 18 for hours in hours_store.read(connection, wanted).values())
    _assert_by_key(connection.taken(), 18 * len(MANY))
    assert rule_states.project_since(connection, ["proj_1", "proj_2"]) == {
        "proj_1": FIRST,
        "proj_2": FIRST,
    }
    _assert_by_key(connection.taken(), 2)


def test_late_events_touch_their_hours_and_series_by_key(connection: ExplainingConnection) -> None:
    ids = [stored.series_id for stored in rule_states.load(connection, MANY).values()]
    connection.taken()
    hour = 29_000_000 // 60 - 5
    added = hours_store.add_late(connection, {(series_id, hour): (2, 2) for series_id in ids})
    assert set(added.values()) == {(5, 2, 60)}
    assert set(waiting_series.add_late(connection, dict.fromkeys(ids, 2)).values()) == {2}
    waiting_series.note_disorder(connection, dict.fromkeys(ids, FIRST - 60))
    _assert_by_key(connection.taken(), len(MANY))
    assert not waiting_series.waiting(connection, rows=50, quiet_s=60, most_s=3600)
    assert len(waiting_series.waiting(connection, rows=50, quiet_s=0, most_s=3600)) == len(MANY)
    _assert_by_key(connection.taken(), len(MANY))
    found = incident_states.of_series(connection, MANY[0], since=FIRST, rows=10)
    assert found == []  # no state was stored with these incidents
    _assert_by_key(connection.taken(), 10 * 50)  # those of the project since then; only after a backfill


MINE: Final = [
    Series("proj_1", "prod", "rule:mine:1", f"rule:mine:1|rate|error|route=/{number}", "org_1")
    for number in range(1, 21)
]


def test_series_of_own_rules_are_found_woken_and_read_by_key(connection: ExplainingConnection) -> None:
    found = own_series.find(connection, MINE)
    assert len(found) == len(MINE)
    _assert_by_key(connection.taken(), len(MINE))
    assert len(due_series.wake(connection, dict.fromkeys(found.values(), AT))) == len(MINE)
    _assert_by_key(connection.taken(), len(MINE))
    assert own_series.count_locked(connection, MINE[0], most=10) == 10
    _assert_by_key(connection.taken(), 10 + 1)
    ids = sorted(found.values())
    read = rule_minutes.read(connection, [MinuteRange(one, AT - MINUTES_READ + 1, AT + 1) for one in ids])
    assert len(read) == len(MINE)
    _assert_by_key(connection.taken(), len(MINE) * MINUTES_READ)
    buckets.read(connection, list(ranges({series: [AT] for series in MINE}, MINUTES_READ)))
    _assert_by_key(connection.taken(), len(MINE) * MINUTES_READ)


def test_active_series_of_own_rules_are_found_by_two_probes_each(connection: ExplainingConnection) -> None:
    project = MINE[0].project_id
    found = own_series.active(
        connection, project, {MINE[0].metric_name}, since_minute=FIRST, until_minute=AT, most=20
    )
    assert found
    _assert_by_key(connection.taken(), 20)


def test_tick_reads_series_of_own_rules_that_are_due_only(connection: ExplainingConnection) -> None:
    assert len(due_series.due(connection, partition=0, minute=AT)) < 20
    _assert_by_key(connection.taken(), OPEN)


KINDS: Final = parse_rules(
    [
        {"name": "many", "kind": "floor_ratio", "on": {"event_type": "custom"}, "per": ["release"]},
        {"name": "fewer", "kind": "drop", "on": {"event_type": "custom"}, "per": ["release"]},
        {
            "name": "unusual",
            "kind": "seasonal",
            "on": {"event_type": "custom"},
            "per": ["release"],
            "windows": [{"length": 15, "floor": 15, "ratio": 2}],
        },
        {
            "name": "share",
            "kind": "rate",
            "on": {"event_type": "custom", "error_code": "BAD"},
            "of": {"event_type": "custom"},
            "per": ["release"],
        },
        {"name": "gone", "kind": "absence", "on": {"event_type": "custom"}, "per": ["release"]},
        {"name": "fresh", "kind": "new_series", "on": {"event_type": "custom"}, "per": ["release"]},
    ]
)


def test_evaluation_of_every_kind_reads_minutes_hours_and_state_within_bounds(
    pool: ConnectionPool[Connection],
) -> None:
    """75 minutes, 18 hours where one closes, one state: never more, however long the series is."""
    create_org(pool, "org_1", "An organisation")
    create_project(pool, "proj_1", org_id="org_1", name="A project")
    with transaction(pool) as connection:
        for rule in KINDS:
            assert rules.create(connection, "proj_1", rule, created_by="key:1", most=100) == 1
    engine = OwnEngine(pool, 7)  # a partition of its own
    kind = (("event_type", "custom"), ("environment", "prod"), ("release", "1"), ("error_code", "BAD"))
    engine.count({(kind, AT + minute): 2 for minute in range(300)})
    engine.tick(AT + 298)
    _taken(pool)
    engine.count({(kind, AT + 299): 40})
    engine.tick(AT + 299)
    scans = _taken(pool)
    by_table = {table: [scan for scan in scans if scan.table == table] for table in {s.table for s in scans}}
    assert {"rule_minutes", "rule_state", "rule_series"} <= by_table.keys()
    assert "metrics_buckets" not in by_table
    assert sum(scan.rows for scan in by_table["rule_minutes"]) <= len(KINDS) * (MINUTES_READ + 1)
    assert sum(scan.rows for scan in by_table.get("metrics_hours", [])) <= 18
    tables = ("rule_minutes", "rule_state", "rule_series", "incidents")
    for table in tables:
        _assert_by_key(by_table.get(table) or by_table["rule_state"], len(KINDS) * (MINUTES_READ + 1))


def _taken(pool: ConnectionPool[Connection]) -> list[Scan]:
    with pool.connection() as connection:  # the pool's only one
        assert isinstance(connection, ExplainingConnection)
        return connection.taken()


def test_incidents_are_found_by_key(connection: ExplainingConnection) -> None:
    found = incidents.lock_open(connection, MANY)
    assert len(found) == len(MANY)
    _assert_by_key(connection.taken(), len(MANY))
    ids = [incident.id for incident in found.values()]
    touches = [Touch(id=i, severity=IncidentSeverity.WARN, last_seen_at=instant_of(AT)) for i in ids]
    assert incidents.touch_all(connection, touches) == len(MANY)
    _assert_by_key(connection.taken(), OPEN)  # by id, or among the open ones when they are few
    counted = incident_events.count_by_minute(connection, [(i, FIRST + 390) for i in ids])
    assert set(counted.values()) == {1}
    _assert_by_key(connection.taken(), len(MANY))


def test_periodic_work_reads_open_incidents_and_series_of_the_clock_only(
    connection: ExplainingConnection,
) -> None:
    watched = rule_states.by_clock(connection, partition=0, minute=AT)
    assert 10 < len(watched) < 16  # of 20,400 series in three partitions the 40 that the clock watches
    _assert_by_key(connection.taken(), OPEN)
    assert incidents.resolve_stale(connection, idle_s=3600) == 0
    _assert_by_key(connection.taken(), OPEN)


def test_a_whole_batch_reads_nothing_but_ranges_and_keys(
    pool: ConnectionPool[Connection], kafka: KafkaSettings, publisher: Publisher
) -> None:
    publish(publisher, (envelope for series in MANY for envelope in _minute_of(series)))
    batches = _drain(kafka, pool, publisher)
    with pool.connection() as connection:
        assert isinstance(connection, ExplainingConnection)
        scans = connection.taken()
    read = [scan for scan in scans if scan.table == "metrics_buckets"]
    assert {scan.index for scan in read} == {"metrics_buckets_series"}
    history = len(MANY) * (MINUTES_READ + 1)
    rounding = len(read) * len(MANY)  # PostgreSQL rounds a node's rows per loop
    assert sum(scan.rows for scan in read) <= batches * history + rounding
    others = [scan for scan in scans if scan.table != "metrics_buckets"]
    assert {scan.table for scan in others} >= {"incidents", "incident_events", "ai_jobs", "rule_state"}
    _assert_by_key(others, OPEN)


def _assert_by_key(scans: Sequence[Scan], most_rows: int) -> None:
    assert scans
    assert {scan.node for scan in scans} <= {"Index Scan", "Index Only Scan", "Bitmap Heap Scan"}, scans
    assert max(scan.rows for scan in scans) <= most_rows, scans


def _minute_of(series: Series) -> Iterator[Envelope]:
    """Make what fires for an error series, and one event of a signup series."""
    tenancy, start = Tenancy(series.org_id, series.project_id), instant_of(AT)
    if series.metric_name == "signup_count":
        yield event("signup", start, tenancy=tenancy)
        return
    code = series.fingerprint.partition("|")[0]
    for second in range(45):
        yield event("error", start + timedelta(seconds=second), tenancy=tenancy, error_code=code, route="/r")


def _drain(kafka: KafkaSettings, pool: ConnectionPool[Connection], publisher: Publisher) -> int:
    """Let an engine count everything; return how many batches it took."""
    batches = 0
    with IncidentEngine(kafka, pool, publisher, tick_s=0.05) as session:

        def is_idle() -> bool:
            nonlocal batches
            counted = session.step(0.1) > 0
            batches += counted
            return not counted and len(session.owned()) == PARTITIONS and session.lag() == 0

        until(is_idle, within_s=120)
    return batches
