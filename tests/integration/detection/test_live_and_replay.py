"""Live evaluation on PostgreSQL and the replay of the same counts find the same incidents."""

import math
import random
from collections.abc import Sequence
from contextlib import suppress
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection, transaction
from signals.domain.detection.buckets import Series, instant_of
from signals.domain.detection.calendar import CalendarDay, ProjectClock
from signals.domain.incidents.record_codec import MAX_BYTES
from signals.services.access.provisioning import create_org, create_project
from signals.services.detection.judging import judge_by_clock
from signals.store.detection import project_calendars
from tests.integration.detection.counting import (
    BOOK,
    DAY,
    START,
    Counts,
    Incident,
    Killed,
    count,
    drawn,
    incidents_of,
    poisson,
    replayed,
    series_named,
    tally_of,
)


def _world(seed: int, days: float) -> Counts:
    """Draw counts of four series with outages of every sort."""
    rng, minutes = random.Random(seed), int(days * DAY)
    at = rng.randrange(int(0.6 * minutes), int(0.8 * minutes))

    outages = (*range(at, at + 25), *range(at + 110, at + 125))

    def swing(minute: int) -> float:
        return 1 + 0.6 * math.sin(2 * math.pi * minute / DAY)

    return {
        series_named("BUSY|/r|prod"): drawn(
            rng,
            minutes,
            lambda m: 8 * swing(m) + 60 * (m in outages),
        ),
        series_named("RARE|/r|prod"): drawn(rng, minutes, lambda m: 0.02 + (4 if at <= m < at + 40 else 0)),
        series_named("LEVEL|/r|prod"): drawn(rng, minutes, lambda m: 0.5 if m < 400 else 9.0),
        series_named("signup|prod"): drawn(rng, minutes, lambda m: 0 if at <= m < at + 150 else 5 * swing(m)),
    }


def _batches(rng: random.Random, counts: Counts) -> list[tuple[int, dict[tuple[Series, int], int]]]:
    """Cut the stream into batches, also within a minute; each comes with its newest minute."""
    minutes = len(next(iter(counts.values())))
    out: list[tuple[int, dict[tuple[Series, int], int]]] = []
    rest: dict[tuple[Series, int], int] = {}
    start = 0
    while start < minutes:
        end = min(minutes, start + rng.choice((1, 2, 7, 45, 200)))
        batch = dict(rest)
        rest = {}
        for series, one in counts.items():
            for minute in range(start, end):
                events = one[minute]
                now = events if minute < end - 1 else rng.randrange(events + 1)
                batch[series, START + minute] = batch.get((series, START + minute), 0) + now
                if events > now:
                    rest[series, START + minute] = events - now
        out.append((START + end - 1, batch))
        out.append((START + end - 1, rest))
        rest = {}
        start = end
    return out


def _live(pool: ConnectionPool[Connection], rng: random.Random, counts: Counts) -> list[Incident]:
    for now, batch in _batches(rng, counts):
        tally = tally_of(batch)
        if not tally.buckets:
            continue
        if rng.random() < 0.1:
            with suppress(Killed):
                count(pool, tally, now, is_killed=True)
        count(pool, tally, now)
        with transaction(pool) as connection:
            judge_by_clock(connection, 0, now - 1, BOOK, new_id=uuid4)
    end = START + len(next(iter(counts.values()))) - 1
    with transaction(pool) as connection:
        judge_by_clock(connection, 0, end, BOOK, new_id=uuid4)
    return incidents_of(pool)


@pytest.mark.parametrize("seed", [1, 2])
def test_live_evaluation_finds_what_the_replay_finds(pool: ConnectionPool[Connection], seed: int) -> None:
    counts = _world(seed, 4)
    expected = replayed(counts)
    assert {incident[4] for incident in expected} >= {"confirmed", "learning"}
    assert _live(pool, random.Random(seed), counts) == expected
    with pool.connection() as connection:
        sizes: Sequence[tuple[int]] = connection.execute(
            "SELECT length(state) FROM pipeline.rule_state"
        ).fetchall()
    assert len(sizes) == len(counts)
    assert max(size for (size,) in sizes) <= MAX_BYTES


def test_live_evaluation_follows_the_calendar_as_the_replay_does(pool: ConnectionPool[Connection]) -> None:
    rng = random.Random(3)
    off = range(3 * DAY, 4 * DAY)  # in UTC as in the project's zone
    day_off = CalendarDay(day=instant_of(START + off.start).date(), kind="day_off", name="Holiday")
    rates = (0.3 if minute in off else 1.0 for minute in range(5 * DAY))
    counts = {series_named("signup|prod"): [poisson(rng, 5 * share) for share in rates]}
    clock = ProjectClock.of(ZoneInfo("UTC"), [day_off])
    expected = replayed(counts, clock)
    assert expected != replayed(counts)
    create_org(pool, "org_1", "An organisation")
    create_project(pool, "proj_1", org_id="org_1", name="A project")
    with transaction(pool) as connection:
        assert project_calendars.set_day(connection, "proj_1", day_off)
    assert _live(pool, rng, counts) == expected


def _repeating(days: int) -> Counts:
    """Draw a job of each night, one of each hour with an outage between, and a level that stays."""
    rng, minutes, outage = random.Random(11), days * DAY, (days - 1) * DAY + 100
    return {
        series_named("NIGHT|/r|prod"): drawn(rng, minutes, lambda m: 10 if 120 <= m % DAY < 150 else 0.1),
        series_named("HOUR|/r|prod"): drawn(
            rng, minutes, lambda m: (40 if m % 60 < 2 else 0) + (50 if outage <= m < outage + 60 else 0)
        ),
        series_named("LEVEL|/r|prod"): drawn(
            rng,
            minutes,
            lambda m: (0.1 if m < DAY else 4) + (40 if outage <= m < outage + 30 else 0),
        ),
    }


def test_live_evaluation_learns_what_repeats_as_the_replay_does(pool: ConnectionPool[Connection]) -> None:
    days = 10  # the level's trial lasts for a week from the second day on
    counts = _repeating(days)
    for end in range(DAY // 2, days * DAY + 1, DAY // 2):
        now = START + end - 1
        batch = {
            (series, START + at): one[at]
            for series, one in counts.items()
            for at in range(end - DAY // 2, end)
        }
        count(pool, tally_of(batch), now)
        with transaction(pool) as connection:
            judge_by_clock(connection, 0, now, BOOK, new_id=uuid4)
    found = incidents_of(pool)
    assert found == replayed(counts)
    told = [name.partition("|")[0] for name, *_, verdict, _ in found if verdict == "confirmed"]
    assert [told.count(name) for name in ("NIGHT", "HOUR", "LEVEL")] == [2, 2, 2]
    with pool.connection() as connection:
        [(hours,)] = connection.execute(
            "SELECT count(*) FROM pipeline.metrics_hours h JOIN pipeline.rule_series s ON s.id = h.series_id"
            " WHERE s.fingerprint = 'LEVEL|/r|prod' AND h.hour_start < to_timestamp(%s * 60)",
            (START + DAY,),
        ).fetchall()
        sizes = connection.execute("SELECT length(state) FROM pipeline.rule_state").fetchall()
    assert hours == 0  # the history begins where the level began
    assert max(size for (size,) in sizes) <= MAX_BYTES
