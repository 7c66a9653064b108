"""A resolve by hand holds until new events fire: for each rule, and for an outage."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import pytest
from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection, transaction
from signals.domain.detection.buckets import Series
from signals.services.access.provisioning import create_org, create_project
from signals.services.detection.judging import judge_by_clock
from signals.services.incidents.outage_views import OutageListRequest, Outages
from signals.services.incidents.settling import Settling
from tests.integration.detection.counting import BOOK, DAY, START, count, series_named, tally_of
from tests.support.events import TENANCY

PAY, CART = series_named("DB_DOWN|/pay|prod"), series_named("DB_DOWN|/cart|prod")
SIGNUPS = series_named("signup|prod")
AT = START + 2 * DAY  # the minute of the failure
ROWS = """
SELECT i.fingerprint, i.status, s.rule, s.reopened FROM incidents i
JOIN pipeline.incident_states s ON s.incident_id = i.id ORDER BY i.opened_at, i.fingerprint
"""


@pytest.fixture(autouse=True)
def _project(pool: ConnectionPool[Connection]) -> None:
    create_org(pool, TENANCY.org_id, "An organisation")
    create_project(pool, TENANCY.project_id, org_id=TENANCY.org_id, name="A project")


def _send(pool: ConnectionPool[Connection], *batches: Mapping[tuple[Series, int], int]) -> None:
    for batch in batches:
        count(pool, tally_of(batch), max(minute for _, minute in batch))


def _usual(*series: Series, rate: int, every: int = 1) -> dict[tuple[Series, int], int]:
    return {(one, minute): rate for one in series for minute in range(START, AT, every)}


def _rows(pool: ConnectionPool[Connection]) -> list[Any]:
    with pool.connection() as connection:
        return connection.execute(ROWS).fetchall()


def _resolve(pool: ConnectionPool[Connection]) -> None:
    outages = Outages(pool)
    [outage] = outages.page(TENANCY, OutageListRequest(status="open")).outages
    assert outages.set_status(TENANCY, outage.id, "resolved", actor="person:1")


def _shown(pool: ConnectionPool[Connection]) -> list[tuple[str, int, int]]:
    Settling(pool).round()
    return [
        (one.status, one.incidents, one.reopened)
        for one in Outages(pool).page(TENANCY, OutageListRequest()).outages
    ]


def test_resolved_outage_returns_with_new_failures_only(pool: ConnectionPool[Connection]) -> None:
    _send(pool, _usual(PAY, CART, rate=1), {(PAY, AT): 400, (CART, AT): 400})
    assert _shown(pool) == [("open", 2, 0)]
    _resolve(pool)
    assert _shown(pool) == [("resolved", 2, 0)]
    _send(pool, {(PAY, AT): 1, (CART, AT): 60}, {(PAY, AT + 1): 1, (CART, AT + 1): 29})
    assert _shown(pool) == [("resolved", 2, 0)]
    assert {status for _, status, *_ in _rows(pool)} == {"resolved"}
    _send(pool, {(PAY, AT + 2): 400})
    assert _shown(pool) == [("open", 2, 1)]
    assert [(name, status, reopened) for name, status, _, reopened in _rows(pool)] == [
        (CART.fingerprint, "resolved", 0),
        (PAY.fingerprint, "open", 1),
    ]


def test_incident_of_the_seasonal_rule_returns_with_a_whole_window_only(
    pool: ConnectionPool[Connection],
) -> None:
    _send(pool, _usual(PAY, rate=1, every=5), {(PAY, AT + minute): 6 for minute in range(4)})
    assert [row[1:3] for row in _rows(pool)] == [("open", "errors-above-usual")]
    _resolve(pool)
    for minute in range(4, 9):
        _send(pool, {(PAY, AT + minute): 6})
        assert [row[1] for row in _rows(pool)] == ["resolved"]
    _send(pool, {(PAY, AT + 9): 6})  # five minutes after the one of the resolve
    assert [(row[1], row[3]) for row in _rows(pool)] == [("open", 1)]


def test_drop_that_goes_on_opens_anew_after_a_whole_window(pool: ConnectionPool[Connection]) -> None:
    def tick(minute: int) -> None:
        with transaction(pool) as connection:
            judge_by_clock(connection, 0, minute, BOOK, new_id=uuid4)

    _send(pool, _usual(SIGNUPS, rate=6))
    tick(AT + 14)
    assert [row[1] for row in _rows(pool)] == ["open"]
    _resolve(pool)
    for minute in range(15, 30):
        tick(AT + minute)
        assert [row[1] for row in _rows(pool)] == ["resolved"], minute
    tick(AT + 30)
    assert [row[1] for row in _rows(pool)] == ["resolved", "open"]
