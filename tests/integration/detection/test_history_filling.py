"""Series with buckets of before the engine kept hours get the history that live evaluation had made."""

from datetime import timedelta
from typing import Final
from uuid import uuid4

from psycopg import sql
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection, transaction
from signals.domain.detection.buckets import Series, instant_of
from signals.domain.detection.rule_text import parse_rule
from signals.domain.incidents.following import SeriesRecord
from signals.domain.incidents.record_codec import decode_record
from signals.services.access.provisioning import create_org, create_project
from signals.services.detection.history_filling import HistoryFilling
from signals.services.detection.judging import judge_batch, judge_by_clock
from signals.services.detection.project_rules import RuleBook
from signals.services.detection.tally import BatchTally, Bucket
from signals.services.operations.retention import Retention
from signals.settings import RetentionSettings
from signals.store.detection import buckets, rules
from tests.support.own_rules import Attributes, OwnEngine

START: Final = 29_540_160
SERIES: Final = Series("proj_1", "prod", "error_count", "E|/r|prod", "org_1")
ERROR: Final[Attributes] = (
    ("environment", "prod"),
    ("error_code", "E"),
    ("event_type", "error"),
    ("route", "/r"),
)
UNUSUAL: Final = parse_rule(
    {
        "name": "unusual",
        "kind": "seasonal",
        "on": {"event_type": "error"},
        "per": "fingerprint",
        "windows": [{"length": 15, "floor": 40, "ratio": 3, "significance": 6}],
    }
)
HOURS: Final = "SELECT hour_start, value, clean_minutes, clean_value FROM pipeline.metrics_hours ORDER BY 1"


def _count(pool: ConnectionPool[Connection], minute: int, count: int) -> None:
    tally = BatchTally()
    bucket = tally.buckets[SERIES, minute] = Bucket()
    bucket.count, bucket.newest_ms = count, minute * 60_000
    tally.partitions[SERIES] = 0
    with transaction(pool) as connection:
        buckets.increment(connection, tally.counts())
        judge_batch(connection, tally, RuleBook(), now=minute, new_id=uuid4)


def _remember(pool: ConnectionPool[Connection], minutes: range) -> None:
    """Write buckets as an earlier release did: without series, states and hours."""
    with transaction(pool) as connection:
        buckets.increment(connection, {(SERIES, minute): 2 for minute in minutes})


def test_filled_history_equals_that_of_live_evaluation(pool: ConnectionPool[Connection]) -> None:
    end = START + 3 * 1440
    _remember(pool, range(START, end, 2))
    _count(pool, end, 1)
    with pool.connection() as connection:
        assert connection.execute("SELECT needs_history FROM pipeline.rule_state").fetchall() == [(True,)]
    filling = HistoryFilling(pool, page=1)
    assert filling.round() == 1
    assert filling.round() == 0
    with pool.connection() as connection:
        [(data,)] = connection.execute("SELECT state FROM pipeline.rule_state").fetchall()
        filled = connection.execute(HOURS).fetchall()
        connection.execute("DELETE FROM pipeline.rule_series")
        connection.execute("DELETE FROM metrics_buckets")
    for minute in range(START, end, 2):
        if minute % 30 == 0:
            _remember(pool, range(minute + 2, min(end, minute + 30), 2))
            _count(pool, minute, 2)
    _count(pool, end, 1)
    with pool.connection() as connection:
        [(live,)] = connection.execute("SELECT state FROM pipeline.rule_state").fetchall()
        assert connection.execute(HOURS).fetchall() == filled
    assert len(filled) == 72
    assert decode_record(live) == decode_record(data)


def test_seasonal_rule_that_was_created_late_learns_the_buckets_that_it_shares(
    pool: ConnectionPool[Connection],
) -> None:
    create_org(pool, "org_1", "An organisation")
    create_project(pool, "proj_1", org_id="org_1", name="A project")
    end = START + 3 * 1440
    _remember(pool, range(START, end, 2))
    with transaction(pool) as connection:
        assert rules.create(connection, "proj_1", UNUSUAL, created_by="key:1", most=9) == 1
    late = OwnEngine(pool)
    late.count({(ERROR, end): 2})
    late.tick(end)
    with pool.connection() as connection:
        unjudged = connection.execute(
            "SELECT needs_history, is_due, state FROM pipeline.rule_state"
        ).fetchall()
    assert unjudged == [(True, True, None)]
    assert HistoryFilling(pool).round() == 1
    late.tick(end)
    filled, hours = _learned(pool)
    assert len(hours) == 72
    late.count({(ERROR, end + 1): 400})
    late.tick(end + 1)
    with pool.connection() as connection:
        found = connection.execute("SELECT rule, verdict, kind FROM pipeline.incident_states").fetchall()
        assert found == [("unusual", "confirmed", "change")]
        connection.execute("DELETE FROM pipeline.rule_series")
        connection.execute("DELETE FROM metrics_buckets")
        connection.execute("TRUNCATE incidents CASCADE")
    early = OwnEngine(pool)
    for minute in range(START, end, 30):
        early.count({(ERROR, at): 2 for at in range(minute, minute + 30, 2)})
        early.tick(minute + 29)
    early.count({(ERROR, end): 2})
    early.tick(end)
    assert _learned(pool) == (filled, hours)


def _learned(pool: ConnectionPool[Connection]) -> tuple[SeriesRecord | None, list[TupleRow]]:
    """Return the record and the hours of the only series."""
    with pool.connection() as connection:
        [(data,)] = connection.execute("SELECT state FROM pipeline.rule_state").fetchall()
        return decode_record(data), connection.execute(HOURS).fetchall()


def test_series_without_history_is_judged_by_its_fixed_rule(pool: ConnectionPool[Connection]) -> None:
    _remember(pool, range(START, START + 300))
    _count(pool, START + 300, 400)
    with pool.connection() as connection:
        found = connection.execute("SELECT rule, verdict FROM pipeline.incident_states").fetchall()
    assert found == [("error-spike", "confirmed")]


def test_hours_and_series_leave_after_their_days(pool: ConnectionPool[Connection]) -> None:
    _count(pool, START, 1)
    _count(pool, START + 1440 * 12, 1)
    settings = RetentionSettings(keep_buckets_days=0, keep_incident_events_days=0)
    assert Retention(pool, settings).round() == 0
    with pool.connection() as connection:
        connection.execute("UPDATE pipeline.rule_state SET judged_at = judged_at + %s", [timedelta(days=30)])
    assert Retention(pool, settings).round() == 1  # the hour of the first event; the later one stays
    with pool.connection() as connection:
        connection.execute("UPDATE pipeline.rule_state SET updated_at = now() - interval '36 days'")
    assert Retention(pool, settings).round() == 1
    with pool.connection() as connection:
        assert connection.execute("SELECT count(*) FROM pipeline.rule_series").fetchall() == [(0,)]


def test_minutes_of_an_own_rule_leave_after_their_days(pool: ConnectionPool[Connection]) -> None:
    create_org(pool, "org_1", "An organisation")
    create_project(pool, "proj_1", org_id="org_1", name="A project")
    beats = parse_rule({"name": "beats", "kind": "absence", "on": {"event_type": "custom"}, "after": 30})
    with transaction(pool) as connection:
        assert rules.create(connection, "proj_1", beats, created_by="key:1", most=9) == 1
    kind: Attributes = (("environment", "prod"), ("event_type", "custom"))
    engine = OwnEngine(pool)
    newest = START + 40 * 1440
    for minute in (START, START + 1, newest - 35 * 1440, newest):
        engine.count({(kind, minute): 3})
        engine.tick(minute)
    settings = RetentionSettings(keep_buckets_days=0, keep_incident_events_days=0)
    retention = Retention(pool, settings)
    assert (retention.round(), retention.round()) == (2, 0)
    with pool.connection() as connection:
        left = connection.execute("SELECT minute_at, value FROM pipeline.rule_minutes ORDER BY 1").fetchall()
        assert left == [(instant_of(newest - 35 * 1440), 3), (instant_of(newest), 3)]
        connection.execute("UPDATE pipeline.rule_state SET updated_at = now() - interval '36 days'")
    assert retention.round() == 1
    with pool.connection() as connection:
        for table in ("rule_series", "rule_state", "rule_minutes"):
            count = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier("pipeline", table))
            assert connection.execute(count).fetchall() == [(0,)], table


def test_series_of_a_drop_is_judged_by_the_clock_without_any_event(pool: ConnectionPool[Connection]) -> None:
    signups = Series("proj_1", "prod", "signup_count", "signup|prod", "org_1")
    tally = BatchTally()
    for minute in range(START, START + 100):
        bucket = tally.buckets[signups, minute] = Bucket()
        bucket.count, bucket.newest_ms = 4, minute * 60_000
    tally.partitions[signups] = 2
    with transaction(pool) as connection:
        buckets.increment(connection, tally.counts())
        judge_batch(connection, tally, RuleBook(), now=START + 99, new_id=uuid4)
    with transaction(pool) as connection:
        judge_by_clock(connection, 2, START + 120, RuleBook(), new_id=uuid4)
        found = connection.execute("SELECT fingerprint FROM incidents").fetchall()
    assert found == [("signup|prod",)]
