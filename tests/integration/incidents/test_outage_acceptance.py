"""From events to outages, through Kafka, the engine and the API: the acceptance points of grouping."""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg_pool import ConnectionPool

from shared_types import Envelope
from signals.clients.kafka.publisher import Publisher
from signals.clients.postgres import Connection
from signals.services.detection import IncidentEngine
from signals.services.incidents.outage_answers import OutageView
from signals.services.incidents.outage_views import OutageListRequest, Outages
from signals.services.incidents.settling import Settling
from signals.services.operations.housekeeping import resolve_stale_incidents
from signals.settings import KafkaSettings
from tests.support.consuming import drain
from tests.support.events import TENANCY, event, publish

Feed = Callable[[Iterable[Envelope]], None]


@pytest.fixture
def feed(kafka: KafkaSettings, pool: ConnectionPool[Connection], publisher: Publisher) -> Iterator[Feed]:
    """Publishes events, and lets an engine count them."""
    with IncidentEngine(kafka, pool, publisher, tick_s=0.05) as session:

        def send(events: Iterable[Envelope]) -> None:
            publish(publisher, events)
            drain(session)

        yield send


def failures(code: str, route: str, start: datetime, minutes: int = 6) -> list[Envelope]:
    """Make sixty failures a minute; `{}` in the route becomes another id in each."""
    return [
        event(
            "error", start + timedelta(seconds=second), error_code=code, route=route.format(48_000 + second)
        )
        for second in range(60 * minutes)
    ]


def shown(pool: ConnectionPool[Connection]) -> list[OutageView]:
    return Outages(pool).page(TENANCY, OutageListRequest()).outages


def settle(pool: ConnectionPool[Connection]) -> None:
    """Let windows be older than ten minutes, and settle them."""
    with pool.connection() as connection:
        connection.execute("UPDATE pipeline.outages SET created_at = created_at - interval '11 minutes'")
    Settling(pool).round()


def idle(pool: ConnectionPool[Connection], minutes: int) -> None:
    """Let that many minutes pass without an event, and do the periodic work."""
    with pool.connection() as connection:
        ago: Any = timedelta(minutes=minutes)
        connection.execute("UPDATE incidents SET last_seen_at = last_seen_at - %s", [ago])
        connection.execute("UPDATE pipeline.incident_states SET last_fired_at = last_fired_at - %s", [ago])
    resolve_stale_incidents(pool)
    Settling(pool).round()


def test_one_outage_over_ten_routes_is_shown_once(feed: Feed, pool: ConnectionPool[Connection]) -> None:
    start = datetime.now(UTC) - timedelta(minutes=7)
    feed([one for number in range(10) for one in failures("DB_DOWN", f"/page{'abcdefghij'[number]}", start)])
    [begun] = shown(pool)
    assert (begun.incidents, begun.cause, begun.is_settled) == (10, None, False)
    settle(pool)
    [outage] = shown(pool)
    assert (outage.id, outage.incidents, outage.is_settled) == (begun.id, 10, True)
    assert outage.cause is not None
    assert (outage.cause.attribute, outage.cause.value) == ("error_code", "DB_DOWN")


def test_sixty_failures_a_minute_over_routes_with_ids_are_found(
    feed: Feed, pool: ConnectionPool[Connection]
) -> None:
    feed(failures("TIMEOUT", "/orders/{}", datetime.now(UTC) - timedelta(minutes=7)))
    [outage] = shown(pool)
    assert "/orders/{id}" in outage.title
    assert outage.incidents == 1


def test_two_unrelated_outages_of_one_minute_stay_two(feed: Feed, pool: ConnectionPool[Connection]) -> None:
    start = datetime.now(UTC) - timedelta(minutes=7)
    feed([*failures("DB_DOWN", "/checkout", start), *failures("BAD_TOKEN", "/login", start)])
    settle(pool)
    assert sorted(one.title.partition(" in prod")[0] for one in shown(pool)) == [
        "BAD_TOKEN on /login",
        "DB_DOWN on /checkout",
    ]
    settle(pool)
    assert [one.incidents for one in shown(pool)] == [1, 1]


def test_outage_that_has_ended_is_resolved_within_an_hour(
    feed: Feed, pool: ConnectionPool[Connection]
) -> None:
    start = datetime.now(UTC) - timedelta(minutes=7)
    feed([one for route in ("/a", "/b", "/c") for one in failures("DB_DOWN", route, start)])
    settle(pool)
    idle(pool, 55)
    assert [one.status for one in shown(pool)] == ["open"]
    idle(pool, 10)
    [outage] = shown(pool)
    assert (outage.status, outage.resolve_reason, outage.incidents) == ("resolved", "quiet", 3)
