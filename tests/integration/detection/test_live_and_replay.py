"""Live evaluation on PostgreSQL and the replay of the same counts find the same incidents."""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection, transaction
from signals.domain.detection.buckets import Series, instant_of, minute_of
from signals.domain.detection.calendar import UTC_CLOCK, CalendarDay, ProjectClock
from signals.domain.detection.default_rules import DEFAULT_RULES
from signals.domain.incidents.record_codec import MAX_BYTES
from signals.domain.incidents.series_replay import Stretch, replay
from signals.domain.incidents.watch import watches
from signals.services.access.provisioning import create_org, create_project
from signals.services.detection.judging import judge_batch, judge_by_clock
from signals.services.detection.project_rules import RuleBook
from signals.services.detection.tally import BatchTally, Bucket
from signals.store.detection import buckets, project_calendars

START: Final = 29_540_160  # a Monday, 00:00 UTC
DAY: Final = 1440
ERRORS, SIGNUPS = watches(DEFAULT_RULES)
BOOK: Final = RuleBook()

Counts = dict[Series, list[int]]
Incident = tuple[str, int, int | None, str, str, int]
"""Fingerprint, opened and ended minute, rule, verdict, how often reopened."""


class _Killed(Exception):  # noqa: N818  # reads as the state it names
    """Stands for a process that dies before its transaction is committed."""


def _drawn(rng: random.Random, minutes: int, rate: Callable[[int], float]) -> list[int]:
    return [_poisson(rng, rate(minute)) for minute in range(minutes)]


def _poisson(rng: random.Random, mean: float) -> int:
    limit, count, product = math.exp(-mean), 0, rng.random()
    while product > limit:
        count += 1
        product *= rng.random()
    return count


def _series(name: str) -> Series:
    metric = "signup_count" if name.startswith("signup") else "error_count"
    return Series("proj_1", "prod", metric, name, "org_1")


def _world(seed: int, days: float) -> Counts:
    """Draw counts of four series with outages of every sort."""
    rng, minutes = random.Random(seed), int(days * DAY)
    at = rng.randrange(int(0.6 * minutes), int(0.8 * minutes))

    outages = (*range(at, at + 25), *range(at + 110, at + 125))

    def swing(minute: int) -> float:
        return 1 + 0.6 * math.sin(2 * math.pi * minute / DAY)

    return {
        _series("BUSY|/r|prod"): _drawn(
            rng,
            minutes,
            lambda m: 8 * swing(m) + 60 * (m in outages),
        ),
        _series("RARE|/r|prod"): _drawn(rng, minutes, lambda m: 0.02 + (4 if at <= m < at + 40 else 0)),
        _series("LEVEL|/r|prod"): _drawn(rng, minutes, lambda m: 0.5 if m < 400 else 9.0),
        _series("signup|prod"): _drawn(rng, minutes, lambda m: 0 if at <= m < at + 150 else 5 * swing(m)),
    }


def _replayed(counts: Counts, clock: ProjectClock = UTC_CLOCK) -> list[Incident]:
    first = min(START + next(m for m, count in enumerate(one) if count) for one in counts.values())
    found: list[Incident] = []
    for series, minutes in counts.items():
        begun = next(minute for minute, count in enumerate(minutes) if count)
        watch = SIGNUPS if series.metric_name == "signup_count" else ERRORS
        stretch = Stretch(since=START + begun, counts=minutes[begun:])
        found += (
            (series.fingerprint, one.opened_at, one.resolved_at, one.rule, one.verdict, one.reopened)
            for one in replay(watch, stretch, project_since=first, clock=clock)
        )
    return sorted(found, key=str)


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
                count = one[minute]
                now = count if minute < end - 1 else rng.randrange(count + 1)
                batch[series, START + minute] = batch.get((series, START + minute), 0) + now
                if count > now:
                    rest[series, START + minute] = count - now
        out.append((START + end - 1, batch))
        out.append((START + end - 1, rest))
        rest = {}
        start = end
    return out


def _tally(batch: Mapping[tuple[Series, int], int]) -> BatchTally:
    tally = BatchTally()
    for (series, minute), count in batch.items():
        if count:
            bucket = tally.buckets[series, minute] = Bucket()
            bucket.count, bucket.newest_ms = count, minute * 60_000 + 59_000
            tally.partitions[series] = 0
    return tally


def _count(pool: ConnectionPool[Connection], tally: BatchTally, now: int, *, is_killed: bool = False) -> None:
    with transaction(pool) as connection:
        buckets.increment(connection, tally.counts())
        judge_batch(connection, tally, BOOK, now=now, new_id=uuid4)
        if is_killed:
            raise _Killed


def _live(pool: ConnectionPool[Connection], rng: random.Random, counts: Counts) -> list[Incident]:
    for now, batch in _batches(rng, counts):
        tally = _tally(batch)
        if not tally.buckets:
            continue
        if rng.random() < 0.1:
            with suppress(_Killed):
                _count(pool, tally, now, is_killed=True)
        _count(pool, tally, now)
        with transaction(pool) as connection:
            judge_by_clock(connection, 0, now - 1, BOOK, new_id=uuid4)
    end = START + len(next(iter(counts.values()))) - 1
    with transaction(pool) as connection:
        judge_by_clock(connection, 0, end, BOOK, new_id=uuid4)
        rows = connection.execute(
            "SELECT i.fingerprint, i.opened_at, s.ended_at, s.rule, s.verdict, s.reopened, i.status"
            " FROM incidents i JOIN pipeline.incident_states s ON s.incident_id = i.id"
        ).fetchall()
    assert all((status == "resolved") == (ended is not None) for *_, ended, _, _, _, status in rows)
    return sorted(
        (
            (name, minute_of(opened), minute_of(ended) if ended else None, rule, verdict, reopened)
            for name, opened, ended, rule, verdict, reopened, _ in rows
        ),
        key=str,
    )


@pytest.mark.parametrize("seed", [1, 2])
def test_live_evaluation_finds_what_the_replay_finds(pool: ConnectionPool[Connection], seed: int) -> None:
    counts = _world(seed, 4)
    expected = _replayed(counts)
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
    counts = {_series("signup|prod"): [_poisson(rng, 5 * share) for share in rates]}
    clock = ProjectClock.of(ZoneInfo("UTC"), [day_off])
    expected = _replayed(counts, clock)
    assert expected != _replayed(counts)
    create_org(pool, "org_1", "An organisation")
    create_project(pool, "proj_1", org_id="org_1", name="A project")
    with transaction(pool) as connection:
        assert project_calendars.set_day(connection, "proj_1", day_off)
    assert _live(pool, rng, counts) == expected
