"""An engine that dies at any statement counts and judges own rules once: nothing is lost or double."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final, cast
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool

from signals.clients.kafka.publisher import Publisher
from signals.clients.postgres import Connection, transaction
from signals.domain.detection.rule_text import parse_rules
from signals.errors import DependencyUnavailable
from signals.services.access.provisioning import create_org, create_project
from signals.services.detection import IncidentEngine
from signals.settings import KafkaSettings
from signals.store.detection import rules
from tests.support.events import event, publish
from tests.support.waiting import until

ROUNDS: Final = (
    45  # statements at which the engine dies, one after the other: more than a batch and a tick have
)
RULES: Final = parse_rules(
    [
        {
            "name": "many",
            "kind": "floor_ratio",
            "on": {"event_type": "custom"},
            "per": ["release"],
            "floor": 3,
            "ratio": 1,
            "max_series": 20,
        },
        {
            "name": "share",
            "kind": "rate",
            "on": {"event_type": "custom", "error_code": "BAD"},
            "of": {"event_type": "custom"},
            "per": [],
            "limit": 0.05,
            "floor": 20,
        },
    ]
)


class DyingConnection(psycopg.Connection[TupleRow]):
    """Loses its server at the statement that `left` counts down to; below zero it never does."""

    left: ClassVar[int] = -1

    def execute(self, query: Any, params: Any = None, **options: Any) -> psycopg.Cursor[TupleRow]:
        if DyingConnection.left >= 0:
            DyingConnection.left -= 1
            if DyingConnection.left < 0:
                self.close()
                raise psycopg.OperationalError("the connection is lost")
        return super().execute(query, params, **options)


@dataclass(frozen=True)
class Dies:
    """Runs engines that lose their connection."""

    kafka: KafkaSettings
    pool: ConnectionPool[Connection]
    publisher: Publisher

    def at(self, number: int, *, now: datetime, is_done: Callable[[], bool]) -> bool:
        """Lose the connection at a statement; return False when everything was done before that."""
        DyingConnection.left = number
        try:
            with IncidentEngine(
                self.kafka, self.pool, self.publisher, tick_s=0.01, clock=lambda: now
            ) as session:
                until(lambda: session.step(0.1) >= 0 and session.owned() and is_done(), within_s=120)
        except DependencyUnavailable:
            return True
        finally:
            DyingConnection.left = -1
        return False


@pytest.fixture
def dying(pool: ConnectionPool[Connection]) -> Iterator[ConnectionPool[Connection]]:
    """A second pool of connections that can die, on the same database."""
    with ConnectionPool(
        pool.conninfo, connection_class=DyingConnection, min_size=1, max_size=1, open=True
    ) as other:
        yield cast(ConnectionPool[Connection], other)


def test_engine_that_dies_at_any_statement_counts_and_judges_once(
    kafka: KafkaSettings,
    pool: ConnectionPool[Connection],
    dying: ConnectionPool[Connection],
    publisher: Publisher,
) -> None:
    create_org(pool, "org_1", "An organisation")
    create_project(pool, "proj_1", org_id="org_1", name="A project")
    with transaction(pool) as connection:
        for rule in RULES:
            assert rules.create(connection, "proj_1", rule, created_by="key:1", most=100) == 1
    start = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=2)
    dies = Dies(kafka, dying, publisher)
    for number in range(ROUNDS):
        code = "BAD" if number % 2 else "GOOD"
        at = start + timedelta(seconds=number)
        publish(publisher, (event("custom", at, release=f"r{number}", error_code=code) for _ in range(4)))
        assert dies.at(number, now=start, is_done=lambda: False)
    statements = itertools.count()
    later = start + timedelta(minutes=1)
    while dies.at(next(statements), now=later, is_done=lambda: _is_judged(pool)):
        pass
    assert next(statements) > 20  # it died at each statement of becoming a consumer, and of a tick
    counted = _rows(
        pool,
        "SELECT s.fingerprint, sum(m.value)::int, sum(m.whole)::int FROM pipeline.rule_minutes m"
        " JOIN pipeline.rule_series s ON s.id = m.series_id GROUP BY s.fingerprint",
    )
    by_series = {name: (value, whole) for name, value, whole in counted}
    assert by_series.pop("rule:share:1|rate|custom|error_code=BAD") == (4 * (ROUNDS // 2), 4 * ROUNDS)
    assert by_series.pop("rule:many:1|floor_ratio|custom|other") == (4 * (ROUNDS - 20), 0)
    assert sorted(by_series.values()) == [(4, 0)] * 20
    opened = _rows(pool, "SELECT fingerprint, count(*) FROM incidents GROUP BY fingerprint")
    assert dict(opened) == {name: 1 for name, *_ in counted}
    events: list[tuple[UUID, int]] = _rows(
        pool,
        "SELECT incident_id, count(*) - count(DISTINCT event_id) FROM incident_events GROUP BY incident_id",
    )
    assert {repeated for _, repeated in events} == {0}
    jobs = _rows(pool, "SELECT incident_id, count(*) FROM ai_jobs GROUP BY incident_id")
    assert {count for _, count in jobs} == {1}


def _is_judged(pool: ConnectionPool[Connection]) -> bool:
    """Say whether the minute of all events was judged."""
    [(waiting,)] = _rows(
        pool,
        "SELECT count(*) FROM pipeline.rule_state t WHERE t.judged_at < ("
        " SELECT max(m.minute_at) FROM pipeline.rule_minutes m WHERE m.series_id = t.series_id)",
    )
    return bool(waiting == 0)


def _rows(pool: ConnectionPool[Connection], query: str) -> list[Any]:
    with pool.connection() as connection:
        return connection.execute(query).fetchall()
