"""Counts of series that are judged live, batch by batch, and replayed whole."""

import math
import random
from collections.abc import Callable, Mapping
from typing import Final
from uuid import uuid4

from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection, transaction
from signals.domain.detection.buckets import Series, minute_of
from signals.domain.detection.calendar import UTC_CLOCK, ProjectClock
from signals.domain.detection.default_rules import DEFAULT_RULES
from signals.domain.incidents.series_replay import Stretch, replay
from signals.domain.incidents.watch import watches
from signals.services.detection.judging import judge_batch
from signals.services.detection.project_rules import RuleBook
from signals.services.detection.tally import BatchTally, Bucket
from signals.store.detection import buckets

START: Final = 29_540_160  # a Monday, 00:00 UTC
DAY: Final = 1440
ERRORS, SIGNUPS = watches(DEFAULT_RULES)
BOOK: Final = RuleBook()

Counts = dict[Series, list[int]]
Incident = tuple[str, int, int | None, str, str, int]
"""Fingerprint, opened and ended minute, rule, verdict, how often reopened."""


class Killed(Exception):  # noqa: N818  # reads as the state it names
    """Stands for a process that dies before its transaction is committed."""


def drawn(rng: random.Random, minutes: int, rate: Callable[[int], float]) -> list[int]:
    """Draw the events of each minute, of a rate that depends on it."""
    return [poisson(rng, rate(minute)) for minute in range(minutes)]


def poisson(rng: random.Random, mean: float) -> int:
    """Draw a count of this mean."""
    limit, count, product = math.exp(-mean), 0, rng.random()
    while product > limit:
        count += 1
        product *= rng.random()
    return count


def series_named(name: str) -> Series:
    """Return the series of a fingerprint of the project."""
    metric = "signup_count" if name.startswith("signup") else "error_count"
    return Series("proj_1", "prod", metric, name, "org_1")


def replayed(counts: Counts, clock: ProjectClock = UTC_CLOCK) -> list[Incident]:
    """Return what a replay of whole series finds."""
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


def tally_of(batch: Mapping[tuple[Series, int], int]) -> BatchTally:
    """Make the tally of a batch; a minute's newest event comes a second before its end."""
    tally = BatchTally()
    for (series, minute), count in batch.items():
        if count:
            bucket = tally.buckets[series, minute] = Bucket()
            bucket.count, bucket.newest_ms = count, minute * 60_000 + 59_000
            tally.partitions[series] = 0
    return tally


def count(pool: ConnectionPool[Connection], tally: BatchTally, now: int, *, is_killed: bool = False) -> None:
    """Count and judge a batch at the minute `now`; `is_killed`: the process dies before the commit."""
    with transaction(pool) as connection:
        buckets.increment(connection, tally.counts())
        judge_batch(connection, tally, BOOK, now=now, new_id=uuid4)
        if is_killed:
            raise Killed


def incidents_of(pool: ConnectionPool[Connection]) -> list[Incident]:
    """Return what live evaluation found."""
    with pool.connection() as connection:
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
