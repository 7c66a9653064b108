"""Beyond 500 new fingerprints an hour a project's errors are counted in one series, also by two engines."""

import random
import threading
from contextlib import suppress
from uuid import uuid4

import msgspec
from psycopg_pool import ConnectionPool

from shared_types import Environment, EventType
from signals.clients.postgres import Connection, transaction
from signals.domain.detection.buckets import instant_of, minute_of
from signals.domain.detection.overflow import MOST_NEW_SERIES
from signals.domain.events.sightings import sighting_of
from signals.services.access.provisioning import create_org, create_project
from signals.services.detection.judging import judge_batch
from signals.services.detection.project_rules import RuleBook
from signals.services.detection.series_cap import SeriesCap
from signals.services.detection.series_question import SeriesQuestion
from signals.services.detection.tally import BatchTally
from signals.services.detection.why_not import WhyNotFinder
from signals.store.detection import buckets
from tests.integration.detection.counting import Killed
from tests.support.events import NOON, TENANCY, event, raw_record

AT = minute_of(NOON)
REST = "{many}|{many}|prod"
COUNTED = "SELECT fingerprint, sum(value)::int FROM metrics_buckets GROUP BY 1"


def _letters(number: int) -> str:
    return "".join("abcdefghij"[int(digit)] for digit in str(number))


class _Engine:
    """Counts events of given series as an engine does that owns one partition."""

    def __init__(
        self, pool: ConnectionPool[Connection], partition: int = 0, most: int = MOST_NEW_SERIES
    ) -> None:
        self._pool = pool
        self._partition = partition
        self._cap = SeriesCap(most)
        self._book = RuleBook()

    def count(self, numbers: range | list[int], *, minute: int = AT, is_killed: bool = False) -> None:
        """Count one event a number; `is_killed`: the process dies before the commit."""
        tally = BatchTally()
        for number in numbers:
            made = event("error", instant_of(minute), error_code="E", route=f"/page{_letters(number)}")
            sighting = msgspec.structs.replace(sighting_of(made), received_minute=minute)
            tally.add_all([sighting], [raw_record(made)], self._partition)
        with transaction(self._pool) as connection:
            self._cap.fold(connection, tally)
            buckets.increment(connection, tally.counts())
            judge_batch(connection, tally, self._book, now=minute, new_id=uuid4)
            if is_killed:
                raise Killed
        self._cap.remember()


def _counted(pool: ConnectionPool[Connection]) -> dict[str, int]:
    with pool.connection() as connection:
        return dict(
            connection.execute(
                "SELECT fingerprint, sum(value)::int FROM metrics_buckets GROUP BY 1"
            ).fetchall()
        )


def test_rest_beyond_the_bound_is_one_series_that_says_so(pool: ConnectionPool[Connection]) -> None:
    create_org(pool, TENANCY.org_id, "An organisation")
    create_project(pool, TENANCY.project_id, org_id=TENANCY.org_id, name="A project")
    engine = _Engine(pool)
    engine.count(range(450))
    engine.count([*range(400, 530), *range(400, 530)])
    counted = _counted(pool)
    assert len(counted) == MOST_NEW_SERIES + 1
    assert (counted[REST], sum(counted.values())) == (60, 450 + 260)
    engine.count(range(530, 570))
    engine.count(range(40))  # known ones go on
    assert (_counted(pool)[REST], len(_counted(pool))) == (100, MOST_NEW_SERIES + 1)
    with pool.connection() as connection:
        [(title,)] = connection.execute("SELECT title FROM incidents").fetchall()
        [(kept,)] = connection.execute("SELECT count(*) FROM incident_events").fetchall()
    assert title.startswith("Errors beyond 500 new fingerprints an hour in prod: 60 errors in 5 minutes")
    assert kept == 3
    asked = SeriesQuestion(
        event_type=EventType.ERROR,
        environment=Environment.PROD,
        error_code="E",
        route="/pagefej",
        at=NOON,
    )
    answer = WhyNotFinder(pool).answer(TENANCY, asked)
    assert [one.code for one in answer.blockers] == ["counted_with_others", "no_such_series"]
    assert REST in answer.blockers[0].detail


def test_next_hour_has_room_again(pool: ConnectionPool[Connection]) -> None:
    engine = _Engine(pool, most=5)
    engine.count(range(8))
    engine.count(range(8), minute=AT + 60)
    counted = _counted(pool)
    assert (counted[REST], len(counted)) == (3, 9)


def test_killed_engine_divides_a_batch_as_before(pool: ConnectionPool[Connection]) -> None:
    chance, engine = random.Random(1), _Engine(pool, most=20)
    batches = [[chance.randrange(60) for _ in range(30)] for _ in range(12)]
    for batch in batches:
        while chance.random() < 0.5:
            with suppress(Killed):
                engine.count(batch, is_killed=True)
            engine = _Engine(pool, most=20)
        engine.count(batch)
    disturbed = _counted(pool)
    with pool.connection() as connection:
        connection.execute(
            "TRUNCATE metrics_buckets, pipeline.new_series, pipeline.rule_series, incidents CASCADE"
        )
    calm = _Engine(pool, most=20)
    for batch in batches:
        calm.count(batch)
    assert disturbed == _counted(pool)
    assert sum(disturbed.values()) == 12 * 30


def test_two_engines_pass_the_bound_together_never(pool: ConnectionPool[Connection]) -> None:
    def work(partition: int) -> None:
        engine = _Engine(pool, partition, most=40)
        for batch in range(10):
            engine.count([number for number in range(10 * batch, 10 * batch + 10) if number % 2 == partition])

    threads = [threading.Thread(target=work, args=(partition,)) for partition in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counted = _counted(pool)
    assert (len(counted), counted[REST], sum(counted.values())) == (41, 60, 100)
