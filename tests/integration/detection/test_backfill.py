"""History that is sent out of order teaches what it had taught in order, and confirms nothing of its own."""

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from uuid import uuid4

import pytest
from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection, transaction
from signals.domain.detection.buckets import Series
from signals.domain.incidents.record_codec import decode_record
from signals.services.detection.history_filling import HistoryFilling
from signals.services.detection.judging import judge_by_clock
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
    replayed,
    series_named,
    tally_of,
)

DAYS = 3  # of history, before a day of live events
BUSY, SIGNUPS, QUIET = (series_named(name) for name in ("BUSY|/r|prod", "signup|prod", "QUIET|/q|prod"))
HOURS = """
SELECT s.fingerprint, h.hour_start, h.value, h.clean_minutes, h.clean_value
FROM pipeline.metrics_hours h JOIN pipeline.rule_series s ON s.id = h.series_id ORDER BY 1, 2
"""

Batch = dict[tuple[Series, int], int]


def _shop(seed: int) -> Counts:
    """Draw four days of a shop with a swing and one real outage, on the second day."""
    rng = random.Random(seed)

    def swing(minute: int) -> float:
        return 1 - 0.7 * math.cos(2 * math.pi * minute / DAY)

    outage = range(DAY + 700, DAY + 730)
    minutes = (DAYS + 1) * DAY
    return {
        BUSY: drawn(rng, minutes, lambda m: 6 * swing(m) + 90 * (m in outage)),
        SIGNUPS: drawn(rng, minutes, lambda m: 5 * swing(m)),
        QUIET: drawn(rng, minutes, lambda m: 0.05),
    }


def _of(counts: Counts, minutes: Sequence[int]) -> Batch:
    return {
        (series, START + minute): one[minute]
        for series, one in counts.items()
        for minute in minutes
        if one[minute]
    }


def _hours_in(order: Sequence[int], counts: Counts) -> Iterator[Batch]:
    for hour in order:
        yield _of(counts, range(60 * hour, 60 * hour + 60))


def _shuffled(rng: random.Random, counts: Counts) -> Iterator[Batch]:
    """Cut the history into batches of 500 events in no order."""
    events = [
        (series, START + minute)
        for series, one in counts.items()
        for minute in range(DAYS * DAY)
        for _ in range(one[minute])
    ]
    rng.shuffle(events)
    for first in range(0, len(events), 500):
        batch: Batch = {}
        for key in events[first : first + 500]:
            batch[key] = batch.get(key, 0) + 1
        yield batch


def _sent(how: str, counts: Counts) -> Iterator[Batch]:
    rng, hours = random.Random(9), list(range(DAYS * 24))
    match how:
        case "newest first":
            yield from _hours_in(hours[::-1], counts)
        case "hours at random":
            rng.shuffle(hours)
            yield from _hours_in(hours, counts)
        case "every second hour first":
            yield from _hours_in([*hours[::2], *hours[1::2]], counts)
        case _:
            yield from _shuffled(rng, counts)


def _count_all(
    pool: ConnectionPool[Connection], batches: Iterator[Batch], now: int, chance: random.Random
) -> None:
    """Count batches; some are lost with their process before they are committed, and read again."""
    for batch in batches:
        tally = tally_of(batch)
        if chance.random() < 0.2:
            with suppress(Killed):
                count(pool, tally, now, is_killed=True)
        count(pool, tally, now)


def _live_day(pool: ConnectionPool[Connection], counts: Counts) -> None:
    for first in range(DAYS * DAY, (DAYS + 1) * DAY, 60):
        now = START + first + 59
        if batch := _of(counts, range(first, first + 60)):
            count(pool, tally_of(batch), now)
        with transaction(pool) as connection:
            judge_by_clock(connection, 0, now, BOOK, new_id=uuid4)


def _learned(pool: ConnectionPool[Connection]) -> Mapping[str, object]:
    with pool.connection() as connection:
        rows = connection.execute(
            "SELECT s.fingerprint, t.state FROM pipeline.rule_state t"
            " JOIN pipeline.rule_series s ON s.id = t.series_id"
        ).fetchall()
        hours = connection.execute(HOURS).fetchall()
    records = {name: decode_record(state) for name, state in rows}
    assert all(records.values())
    return {
        "hours": hours,
        **{name: (one.kept, one.track.seasonal) for name, one in records.items() if one is not None},
    }


def _confirmed(found: Sequence[Incident]) -> list[Incident]:
    return [one for one in found if one[4] == "confirmed"]


def _overlaps(one: Incident, outage: Incident) -> bool:
    assert outage[2] is not None
    return one[0] == outage[0] and one[1] <= outage[2] and (one[2] is None or one[2] >= outage[1])


def _empty(pool: ConnectionPool[Connection]) -> None:
    with pool.connection() as connection:
        connection.execute(
            "TRUNCATE metrics_buckets, incident_events, pipeline.rule_series, pipeline.incident_states,"
            " incidents CASCADE"
        )


@pytest.mark.parametrize(
    "how", ["newest first", "hours at random", "every second hour first", "events at random"]
)
def test_history_out_of_order_teaches_what_it_teaches_in_order(
    pool: ConnectionPool[Connection], how: str
) -> None:
    counts = _shop(5)
    expected = replayed(counts)
    [outage] = _confirmed(expected)
    now = START + DAYS * DAY - 1
    _count_all(pool, _sent(how, counts), now, random.Random(2))
    HistoryFilling(pool, quiet_s=0).round()
    with transaction(pool) as connection:
        judge_by_clock(connection, 0, now, BOOK, new_id=uuid4)
    HistoryFilling(pool, quiet_s=0).round()
    learned = _learned(pool)
    confirmed = _confirmed(incidents_of(pool))
    assert all(_overlaps(one, outage) for one in confirmed), confirmed
    _live_day(pool, counts)
    live = [one for one in incidents_of(pool) if one[1] > now and one[4] == "confirmed"]
    assert live == [one for one in _confirmed(expected) if one[1] > now]
    _empty(pool)
    _count_all(pool, _hours_in(range(DAYS * 24), counts), now, random.Random(3))
    with transaction(pool) as connection:
        judge_by_clock(connection, 0, now, BOOK, new_id=uuid4)
    assert _learned(pool) == learned
