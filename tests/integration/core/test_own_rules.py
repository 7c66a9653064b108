"""A person creates a rule, events come, an incident opens: over HTTP, Kafka, PostgreSQL and OpenSearch."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from psycopg_pool import ConnectionPool
from starlette.testclient import TestClient

from shared_types import Envelope
from signals.clients.kafka.publisher import Publisher
from signals.clients.postgres import Connection
from signals.services.detection import IncidentEngine
from signals.settings import KafkaSettings
from tests.integration.core.conftest import Keys
from tests.support.consuming import drain, own_all
from tests.support.events import event, publish
from tests.support.waiting import until

RULE: Final[dict[str, Any]] = {
    "name": "bad-gateways",
    "kind": "floor_ratio",
    "on": {"event_type": "http_request", "status_code": ["502", "504"]},
    "per": ["route"],
    "window": 5,
    "floor": 10,
    "ratio": 2,
    "severity": "critical",
    "max_series": 1,
}
NOT_OVER: Final = timedelta(minutes=3)  # ago the minute of the events was not over: no tick judges it
WITHIN_S: Final = 90.0  # a tick judges at the end of a minute; it may just have been
SHARE: Final[dict[str, Any]] = {
    "name": "share",
    "kind": "rate",
    "on": {"event_type": "http_request", "status_code": "502"},
    "of": {"event_type": "http_request"},
    "per": [],
    "limit": "10%",
    "floor": 20,
}


class MovedClock:
    """The present, or an instant before or after it; at first one before the events of the test."""

    def __init__(self) -> None:
        self.ahead = -NOT_OVER

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture
def clock() -> MovedClock:
    """The engine's clock."""
    return MovedClock()


@pytest.fixture
def engine(
    kafka: KafkaSettings, pool: ConnectionPool[Connection], publisher: Publisher, clock: MovedClock
) -> Iterator[IncidentEngine]:
    """A running engine that owns every partition."""
    with IncidentEngine(kafka, pool, publisher, tick_s=0.05, clock=clock) as session:
        own_all(session)
        yield session


@pytest.fixture
def admin(anonymous: TestClient, keys: Keys) -> TestClient:
    """A client with the admin key of proj_1."""
    anonymous.headers["Authorization"] = f"Bearer {keys.admin}"
    return anonymous


def requests(count: int, route: str, status_code: int) -> Iterator[Envelope]:
    """Make requests of the last whole minutes, which the next tick judges."""
    start = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=2)
    for number in range(count):
        at = start + timedelta(seconds=number)
        yield event("http_request", at, route=route, status_code=status_code, method="GET")


def test_rule_of_a_persons_own_opens_an_incident_that_everything_shows(
    admin: TestClient,
    engine: IncidentEngine,
    publisher: Publisher,
    pool: ConnectionPool[Connection],
    clock: MovedClock,
) -> None:
    def incidents() -> list[dict[str, Any]]:
        engine.step(0.1)
        found: list[dict[str, Any]] = admin.get("/v1/incidents").json()["incidents"]
        return sorted(found, key=lambda one: str(one["fingerprint"]))

    for rule in (RULE, SHARE):
        assert admin.post("/v1/rules", json=rule).status_code == 201
    first = [*requests(12, "/orders/48213", 502), *requests(30, "/orders/48213", 200)]
    publish(publisher, [*first, *first])  # the second time as a client that got no answer would
    drain(engine)  # whole, before a tick judges them: Kafka may give them in two batches
    clock.ahead = timedelta(minutes=1)
    until(lambda: len(incidents()) == 2, within_s=WITHIN_S)
    publish(publisher, requests(14, "/cart", 504))
    clock.ahead += timedelta(minutes=1)
    until(lambda: len(incidents()) == 3, within_s=WITHIN_S)
    other, by_route, share = incidents()

    assert (
        by_route["title"] == "bad-gateways: 12 http_request events in 5 minutes, a new series (/orders/{id})"
    )
    assert (by_route["environment"], by_route["rule"]) == ("all", "bad-gateways")
    assert (by_route["verdict"], by_route["status"]) == ("learning", "open")  # the rule is new
    assert share["verdict"] == "confirmed"  # a share needs no history
    assert other["title"].endswith("(all series beyond the rule's bound)")
    assert share["title"] == "share: 12 of 42 events in 15 minutes, 29% (status_code 502)"

    detail = admin.get(f"/v1/incidents/{by_route['id']}").json()
    assert (detail["why"]["rule"], detail["why"]["opened"]["count"]) == ("bad-gateways", 12)
    assert detail["chart"]["metric"] == "rule:bad-gateways:1"
    assert sum(minute["count"] for minute in detail["chart"]["minutes"]) == 12
    assert len(detail["events"]) >= 1
    assert "event_type%3Ahttp_request" in detail["links"]["events"]
    assert admin.get(detail["links"]["events"]).status_code == 200
    assert admin.get(f"/v1/incidents/{share['id']}").json()["why"]["normal"] is None
    outage = admin.get(f"/v1/outages/{detail['outage']['id']}")
    assert outage.status_code == 200
    shown = admin.get("/v1/rules/bad-gateways").json()
    assert (shown["series"], shown["has_other"]) == (1, True)
    ledger = {"stage": "incident-engine", "outcome": "counted"}
    with pool.connection() as connection:
        counted = connection.execute(
            "SELECT sum(events) FROM pipeline.ledger WHERE stage = %(stage)s AND outcome = %(outcome)s",
            ledger,
        ).fetchone()
    assert counted == (56,)

    admin.patch("/v1/rules/bad-gateways", json={"enabled": False})
    clock.ahead += timedelta(minutes=1)
    until(
        lambda: [one["status"] for one in incidents()] == ["resolved", "resolved", "open"], within_s=WITHIN_S
    )
    reason = admin.get(f"/v1/incidents/{by_route['id']}").json()["why"]["resolve_reason"]
    assert reason == "rule_off"
