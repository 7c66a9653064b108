"""Incidents of rules that people wrote are divided into outages by all series that could have fired."""

from collections.abc import Iterator, Mapping
from typing import Final

import pytest
from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection, transaction
from signals.domain.detection.calendar import UTC_CLOCK
from signals.domain.detection.rule_text import parse_rules
from signals.services.access.provisioning import create_org, create_project
from signals.services.detection.count_lines import CountedSeries, CountLine
from signals.services.detection.replay import replay_counts
from tests.integration.incidents.shop import Shop
from tests.support.own_rules import Attributes, OwnEngine, write_rules

START: Final = 29_540_160  # a Monday, 00:00 UTC
FAILS: Final = 5  # minutes after the beginning
RATE: Final = {
    "name": "failing",
    "kind": "rate",
    "on": {"event_type": "http_request", "error_code": ["BAD_GATEWAY", "REFUSED"]},
    "of": {"event_type": "http_request"},
    "per": ["route", "environment"],
    "window": 5,
    "limit": "10%",
    "floor": 20,
}
BEAT: Final = {
    "name": "beat",
    "kind": "absence",
    "on": {"event_type": "custom"},
    "per": ["environment"],
    "after": 5,
}
RULES: Final = parse_rules([RATE, BEAT])


def _routes(count: int) -> list[str]:
    return [f"/svc-{chr(ord('a') + number)}" for number in range(count)]


def _minutes(*, failing: int, routes: int) -> Iterator[Mapping[Attributes, int]]:
    """Yield the events of each minute: all routes answer, then some fail and the heartbeat is gone."""
    for minute in range(FAILS + 1):
        found: dict[Attributes, int] = {}
        for number, route in enumerate(_routes(routes)):
            place = (("route", route), ("environment", "prod"))
            found[(("event_type", "http_request"), *place)] = 30
            if number < failing and minute == FAILS:
                found[(("event_type", "http_request"), ("error_code", "BAD_GATEWAY"), *place)] = 60
        if minute == 0:
            found[("event_type", "custom"), ("environment", "prod")] = 1
        yield found


@pytest.fixture
def engine(pool: ConnectionPool[Connection]) -> OwnEngine:
    """An engine, and a project with a rate and an absence."""
    create_org(pool, "org_1", "An organisation")
    create_project(pool, "proj_1", org_id="org_1", name="A project")
    write_rules(pool, RULES, at=START)
    return OwnEngine(pool)


def _live(pool: ConnectionPool[Connection], engine: OwnEngine, *, failing: int, routes: int) -> Shop:
    shop = Shop(pool)
    shop.round()
    for minute, events in enumerate(_minutes(failing=failing, routes=routes)):
        engine.count({(attributes, START + minute): count for attributes, count in events.items()})
        engine.tick(START + minute)
    shop.pass_minutes(5)
    return shop


def _replayed(*, failing: int, routes: int) -> list[tuple[str, int]]:
    lines = [
        CountLine(START + minute, CountedSeries(str(attributes), attributes), count)
        for minute, events in enumerate(_minutes(failing=failing, routes=routes))
        for attributes, count in events.items()
    ]
    found = [(one.outage.cause, len(one.incidents)) for one in replay_counts(lines, RULES, UTC_CLOCK)]
    return sorted(("=".join(cause) if cause else "alone", number) for cause, number in found)


@pytest.mark.parametrize(
    ("failing", "routes", "expected"),
    [
        (3, 20, [("alone", 1), ("rule=failing", 3)]),  # 3 of 20 are not the whole project
        (1, 20, [("alone", 1), ("alone", 1)]),
        (15, 20, [("project=*", 16)]),
    ],
)
def test_few_failing_routes_are_an_outage_beside_a_missing_heartbeat(
    pool: ConnectionPool[Connection],
    engine: OwnEngine,
    failing: int,
    routes: int,
    expected: list[tuple[str, int]],
) -> None:
    shop = _live(pool, engine, failing=failing, routes=routes)
    assert sorted(shop.causes()) == expected
    assert _replayed(failing=failing, routes=routes) == expected


def test_cause_says_how_many_of_the_active_series_fired(
    pool: ConnectionPool[Connection], engine: OwnEngine
) -> None:
    _live(pool, engine, failing=3, routes=20)
    with transaction(pool) as connection:
        found = connection.execute(
            "SELECT fired_series, active_series FROM pipeline.outages WHERE cause_attribute = 'rule'"
        ).fetchall()
    assert found == [(3, 20)]
