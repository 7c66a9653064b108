"""The behaviours that the product promises, each through the engine's own judging on PostgreSQL."""

import random
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

from psycopg_pool import ConnectionPool

from shared_types import canonicalize
from signals.clients.postgres import Connection, transaction
from signals.domain.detection.buckets import Series, minute_of
from signals.domain.events.sightings import sighting_of
from signals.services.detection.judging import judge_batch, judge_by_clock
from signals.services.detection.tally import BatchTally
from signals.store.detection import buckets
from tests.integration.detection.counting import (
    BOOK,
    DAY,
    START,
    Counts,
    Incident,
    count,
    drawn,
    incidents_of,
    series_named,
    tally_of,
)
from tests.support.events import TENANCY, raw_record

STEP: Final = 10  # minutes of a batch, and between two ticks


def _live(pool: ConnectionPool[Connection], counts: Counts) -> list[Incident]:
    minutes = len(next(iter(counts.values())))
    for first in range(0, minutes, STEP):
        now = START + first + STEP - 1
        batch = {
            (series, START + minute): one[minute]
            for series, one in counts.items()
            for minute in range(first, min(minutes, first + STEP))
        }
        if any(batch.values()):
            count(pool, tally_of(batch), now)
        with transaction(pool) as connection:
            judge_by_clock(connection, 0, now, BOOK, new_id=uuid4)
    return incidents_of(pool)


def test_every_ended_outage_is_resolved_within_an_hour(pool: ConnectionPool[Connection]) -> None:
    rng, minutes = random.Random(4), DAY + 1_000
    outages = {
        "A": range(DAY, DAY + 40),
        "B": range(DAY + 300, DAY + 303),
        "C": range(DAY + 500, DAY + 740),
    }
    usual = {"A": 12.0, "B": 0.2, "C": 3.0}  # events a minute: busier than Rule A's floor, rare, between
    counts = {
        series_named(f"{name}|/{name}|prod"): drawn(
            rng,
            minutes,
            lambda m, n=name: usual[n] + (15 * usual[n] + 20) * (m in outages[n]),  # type: ignore[misc]
        )
        for name in outages
    }
    stop = range(DAY + 600, DAY + 720)
    counts[series_named("signup|prod")] = drawn(rng, minutes, lambda m: 0 if m in stop else 6)
    ends = {f"{name}|/{name}|prod": START + at.stop for name, at in outages.items()}
    ends["signup|prod"] = START + stop.stop
    confirmed = [one for one in _live(pool, counts) if one[4] == "confirmed"]
    assert sorted(name for name, *_ in confirmed) == sorted(ends)
    for name, opened, ended, *_ in confirmed:
        assert ended is not None
        assert opened < ends[name] < ended <= ends[name] + 60 + 20, name  # and the window, and the round


def test_twelve_times_the_usual_is_found_within_five_minutes(pool: ConnectionPool[Connection]) -> None:
    for seed in range(4):
        rng, begins = random.Random(seed), 3 * 60
        series = series_named(f"E{seed}|/checkout|prod")
        found = _live(pool, {series: drawn(rng, begins + 10, lambda m: 8 if m < 180 else 96)})
        [rise] = [one for one in found if one[0] == series.fingerprint and one[4] == "confirmed"]
        assert START + begins <= rise[1] < START + begins + 5


def test_forty_steady_fingerprints_have_no_confirmed_incident(pool: ConnectionPool[Connection]) -> None:
    rng = random.Random(7)
    counts = {
        series_named(f"E{number}|/r|prod"): drawn(rng, 3 * 60, lambda m, n=number: 4 + n / 10)  # type: ignore[misc]
        for number in range(40)
    }
    assert {one[4] for one in _live(pool, counts)} <= {"learning", "unconfirmed"}


def test_words_of_other_senders_name_the_same_series(pool: ConnectionPool[Connection]) -> None:
    spellings = [("production", "fatal"), ("prod", "critical"), ("PRODUCTION", "warning"), ("prd", "WARN")]
    now = datetime(2026, 3, 2, 12, tzinfo=UTC)
    tally = BatchTally()
    for number in range(40):
        environment, severity = spellings[number % len(spellings)]
        raw = {
            "event_type": "error",
            "environment": environment,
            "severity": severity,
            "occurred_at": "2026-03-02T12:00:00Z",
            "message": "failed",
            "attributes": {"error_code": "TIMEOUT", "route": "/checkout"},
        }
        made = canonicalize(raw, tenancy=TENANCY, received_at=now, event_id=uuid4())
        sighting = sighting_of(made)
        assert sighting.series == Series(
            TENANCY.project_id, "prod", "error_count", "TIMEOUT|/checkout|prod", TENANCY.org_id
        )
        tally.add_all([sighting], [raw_record(made)], 0)
    with transaction(pool) as connection:
        buckets.increment(connection, tally.counts())
        judge_batch(connection, tally, BOOK, now=minute_of(now), new_id=uuid4)
        rows = connection.execute("SELECT environment, fingerprint FROM incidents").fetchall()
        severities = connection.execute("SELECT DISTINCT severity FROM incident_events").fetchall()
    assert rows == [("prod", "TIMEOUT|/checkout|prod")]
    assert {severity for (severity,) in severities} <= {"critical", "warn"}
