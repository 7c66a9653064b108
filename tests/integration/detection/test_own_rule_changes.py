"""Incidents of rules that people wrote, when their rules are edited, disabled or removed."""

from typing import Final, Literal

import msgspec
import pytest
from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection, transaction
from signals.domain.detection.rule_text import parse_rule
from signals.domain.detection.rule_types import Rule
from signals.services.access.provisioning import create_org, create_project
from signals.store.detection import rules
from tests.support.own_rules import OwnEngine

START: Final = 29_540_160
RULE: Final = parse_rule(
    {
        "name": "beats",
        "kind": "floor_ratio",
        "on": {"event_type": "custom"},
        "per": ["release"],
        "window": 5,
        "floor": 10,
        "ratio": 1,
        "max_series": 3,
    }
)


class Engine(OwnEngine):
    """An engine that counts events by release."""

    def add(self, minute: int, **releases: int) -> None:
        """Count events of each release."""
        kind = (("event_type", "custom"), ("environment", "prod"))
        self.count({((*kind, ("release", name)), minute): count for name, count in releases.items()})


@pytest.fixture
def engine(pool: ConnectionPool[Connection]) -> Engine:
    """An engine, and a project with one rule."""
    create_org(pool, "org_1", "An organisation")
    create_project(pool, "proj_1", org_id="org_1", name="A project")
    with transaction(pool) as connection:
        assert rules.create(connection, "proj_1", RULE, created_by="key:1", most=9) == 1
    return Engine(pool)


def edit(
    pool: ConnectionPool[Connection],
    change: Literal["edited", "enabled", "disabled"] = "edited",
    **fields: object,
) -> None:
    with transaction(pool) as connection:
        found = next(one for one in rules.rules_of(connection, ["proj_1"])["proj_1"] if one.name == "beats")
        edited: Rule = msgspec.structs.replace(found, **fields)
        assert rules.replace(connection, "proj_1", edited, change=change, created_by="key:1")


def incidents(pool: ConnectionPool[Connection]) -> list[tuple[str, str, str | None]]:
    """Return status, fingerprint and reason of the end, in order of opening."""
    with transaction(pool) as connection:
        return connection.execute(
            "SELECT i.status, i.fingerprint, s.resolve_reason FROM incidents i"
            " JOIN pipeline.incident_states s ON s.incident_id = i.id ORDER BY i.opened_at, i.fingerprint"
        ).fetchall()


ONE: Final = "rule:beats:1|floor_ratio|custom|release=one"


def test_incident_goes_on_when_numbers_of_its_rule_change(
    pool: ConnectionPool[Connection], engine: Engine
) -> None:
    engine.add(START, one=12)
    engine.tick(START)
    edit(pool, floor=1_000)
    engine.add(START + 1, one=12)
    engine.tick(START + 1)
    assert incidents(pool) == [("open", ONE, None)]
    engine.tick(START + 70)  # it lasts by the new numbers no more
    assert incidents(pool) == [("resolved", ONE, "quiet")]


def test_incident_ends_when_its_rule_is_disabled_and_a_new_count_begins(
    pool: ConnectionPool[Connection], engine: Engine
) -> None:
    engine.add(START, one=12)
    engine.tick(START)
    edit(pool, "disabled", enabled=False)
    engine.add(START + 1, one=12)
    engine.tick(START + 1)
    assert incidents(pool) == [("resolved", ONE, "rule_off")]
    edit(pool, "enabled", enabled=True)
    engine.add(START + 2, one=12)
    engine.tick(START + 2)
    assert incidents(pool) == [
        ("resolved", ONE, "rule_off"),
        ("open", "rule:beats:3|floor_ratio|custom|release=one", None),
    ]


def test_incident_ends_when_its_rule_counts_other_events(
    pool: ConnectionPool[Connection], engine: Engine
) -> None:
    engine.add(START, one=12)
    engine.tick(START)
    edit(pool, per=())
    engine.add(START + 1, one=12)
    engine.tick(START + 1)
    assert incidents(pool) == [
        ("resolved", ONE, "rule_changed"),
        ("open", "rule:beats:2|floor_ratio|custom", None),
    ]


def test_incident_ends_when_its_rule_is_removed(pool: ConnectionPool[Connection], engine: Engine) -> None:
    engine.add(START, one=12)
    engine.tick(START)
    with transaction(pool) as connection:
        assert rules.remove(connection, "proj_1", RULE, created_by="key:1")
    engine.tick(START + 1)
    assert incidents(pool) == [("resolved", ONE, "rule_off")]


def test_series_beyond_the_bound_are_counted_and_judged_as_other(
    pool: ConnectionPool[Connection], engine: Engine
) -> None:
    other = Engine(pool)  # a second process shares the bound
    engine.add(START, one=1, two=1)
    other.add(START, three=2, four=6)
    engine.add(START, five=6, one=9)
    engine.tick(START)
    assert incidents(pool) == [("open", "rule:beats:1|floor_ratio|custom|other", None), ("open", ONE, None)]
    with transaction(pool) as connection:
        titles = connection.execute("SELECT title FROM incidents ORDER BY fingerprint").fetchall()
        total = connection.execute("SELECT sum(value) FROM pipeline.rule_minutes").fetchone()
        series = connection.execute("SELECT count(*) FROM pipeline.rule_series").fetchone()
    assert titles == [
        ("beats: 12 custom events in 5 minutes, a new series (all series beyond the rule's bound)",),
        ("beats: 10 custom events in 5 minutes, a new series (release one)",),
    ]
    assert (total, series) == ((25,), (4,))


def test_series_without_events_sleep_until_the_next_one(
    pool: ConnectionPool[Connection], engine: Engine
) -> None:
    def due() -> int:
        with transaction(pool) as connection:
            row = connection.execute("SELECT count(*) FROM pipeline.rule_state WHERE is_due").fetchone()
        assert row is not None
        return int(row[0])

    engine.add(START, one=2)
    engine.tick(START)
    assert due() == 1
    engine.tick(START + 200)
    assert due() == 0
    engine.add(START + 5_000, one=12)
    engine.tick(START + 4_999)  # its minute is not over
    assert due() == 1
    engine.tick(START + 5_000)
    assert [status for status, *_ in incidents(pool)] == ["open"]


def test_removed_series_is_added_again(pool: ConnectionPool[Connection], engine: Engine) -> None:
    engine.add(START, one=2)
    with transaction(pool) as connection:
        connection.execute("DELETE FROM pipeline.rule_series")
    engine.add(START, one=12)
    engine.tick(START)
    assert incidents(pool) == [("open", ONE, None)]
