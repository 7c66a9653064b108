"""The machine's clock is wrong for a while: counts stay exact, and outages are found before and after."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from psycopg_pool import ConnectionPool

from signals.clients.kafka.publisher import Publisher
from signals.clients.postgres import Connection
from signals.services.detection import IncidentEngine
from signals.settings import KafkaSettings
from tests.support.consuming import drain, own_all
from tests.support.events import errors, publish
from tests.support.waiting import until

WRONG = [timedelta(hours=3), timedelta(hours=-3), timedelta(days=400)]
SPIKE = 45


class WrongClock:
    """The machine's clock and how far it is off."""

    def __init__(self) -> None:
        self.off = timedelta()
        self.asked = 0

    def __call__(self) -> datetime:
        self.asked += 1
        return datetime.now(UTC) + self.off


@pytest.fixture
def clock() -> WrongClock:
    """A clock that tests set."""
    return WrongClock()


@pytest.fixture
def engine(
    kafka: KafkaSettings, pool: ConnectionPool[Connection], publisher: Publisher, clock: WrongClock
) -> Iterator[IncidentEngine]:
    """A running engine with that clock."""
    with IncidentEngine(kafka, pool, publisher, tick_s=0.05, clock=clock) as session:
        own_all(session)
        yield session


@pytest.mark.parametrize("off", WRONG, ids=str)
def test_wrong_clock_loses_no_count_and_no_outage(
    engine: IncidentEngine,
    clock: WrongClock,
    pool: ConnectionPool[Connection],
    publisher: Publisher,
    off: timedelta,
) -> None:
    began = datetime.now(UTC) - timedelta(minutes=4)
    for code, wrong in (("BEFORE", timedelta()), ("DURING", off), ("AFTER", timedelta())):
        clock.off = wrong
        publish(publisher, errors(SPIKE, began, code=code))
        drain(engine)
        ticked = clock.asked
        until(lambda was=ticked: engine.step(0.05) >= 0 and clock.asked > was + 2)  # type: ignore[misc]
    with pool.connection() as connection:
        counted = connection.execute("SELECT fingerprint, sum(value) FROM metrics_buckets GROUP BY 1")
        assert dict(counted.fetchall()) == {
            f"{code}|/checkout|prod": SPIKE for code in ("BEFORE", "DURING", "AFTER")
        }
        opened = connection.execute("SELECT fingerprint FROM incidents")
        assert sorted(opened.fetchall()) == [
            (f"{code}|/checkout|prod",) for code in ("AFTER", "BEFORE", "DURING")
        ]
