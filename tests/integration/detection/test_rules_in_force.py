"""The engine judges by the rules that a project has now: off, edited by a copy, on again."""

from typing import Final
from uuid import uuid4

import msgspec
import pytest
from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection, transaction
from signals.domain.detection.buckets import Series
from signals.domain.detection.default_rules import DEFAULT_RULES, ERROR_SPIKE, ERRORS_ABOVE_USUAL
from signals.domain.detection.rule_types import Rule
from signals.services.access.provisioning import create_org, create_project
from signals.services.detection.judging import judge_batch, judge_by_clock
from signals.services.detection.project_rules import RuleBook, judged_names, own_rules
from signals.services.detection.tally import BatchTally, Bucket
from signals.store.detection import buckets, rules

START: Final = 29_540_160
SERIES: Final = Series("proj_1", "prod", "error_count", "TIMEOUT|/pay|prod", "org_1")
COPY: Final = msgspec.structs.replace(ERROR_SPIKE, name="my-spike", locked=False, floor=10)


@pytest.fixture
def book(pool: ConnectionPool[Connection]) -> RuleBook:
    """The rules as the engine keeps them, with a project that has its own."""
    create_org(pool, "org_1", "An organisation")
    create_project(pool, "proj_1", org_id="org_1", name="A project")
    return RuleBook()


def count(pool: ConnectionPool[Connection], book: RuleBook, minute: int, events: int) -> None:
    tally = BatchTally()
    bucket = tally.buckets[SERIES, minute] = Bucket()
    bucket.count, bucket.newest_ms = events, minute * 60_000 + 30_000
    tally.partitions[SERIES] = 0
    with transaction(pool) as connection:
        buckets.increment(connection, tally.counts())
        judge_batch(connection, tally, book, now=minute, new_id=uuid4)


def wait(pool: ConnectionPool[Connection], book: RuleBook, minute: int) -> None:
    with transaction(pool) as connection:
        judge_by_clock(connection, 0, minute, book, new_id=uuid4)


def switch(pool: ConnectionPool[Connection], name: str, *, enabled: bool) -> None:
    with transaction(pool) as connection:
        found = next(one for one in rules.rules_of(connection, ["proj_1"])["proj_1"] if one.name == name)
        rule: Rule = msgspec.structs.replace(found, enabled=enabled)
        change = "enabled" if enabled else "disabled"
        assert rules.replace(connection, "proj_1", rule, change=change, created_by="key:1")  # type: ignore[arg-type]


def incidents(pool: ConnectionPool[Connection]) -> list[tuple[str, str]]:
    with transaction(pool) as connection:
        return connection.execute(
            "SELECT i.status, s.rule FROM incidents i JOIN pipeline.incident_states s ON s.incident_id = i.id"
            " ORDER BY i.opened_at"
        ).fetchall()


def test_disabled_rule_opens_nothing_and_its_open_incident_ends(
    pool: ConnectionPool[Connection], book: RuleBook
) -> None:
    count(pool, book, START, 1)
    count(pool, book, START + 200, 60)
    assert incidents(pool) == [("open", "error-spike")]
    for name in ("error-spike", "errors-above-usual"):
        switch(pool, name, enabled=False)
    count(pool, book, START + 210, 60)
    wait(pool, book, START + 300)
    assert incidents(pool) == [("resolved", "error-spike")]
    count(pool, book, START + 500, 60)
    assert len(incidents(pool)) == 1


def test_copy_stands_in_for_a_disabled_rule(pool: ConnectionPool[Connection], book: RuleBook) -> None:
    with transaction(pool) as connection:
        assert rules.create(connection, "proj_1", COPY, created_by="key:1", most=9) == 1
    count(pool, book, START, 1)
    count(pool, book, START + 200, 12)
    assert incidents(pool) == []
    switch(pool, "error-spike", enabled=False)
    count(pool, book, START + 400, 12)
    assert incidents(pool) == [("open", "my-spike")]


def test_engine_takes_one_watch_of_a_counter_and_the_other_rules_apart() -> None:
    assert judged_names(DEFAULT_RULES) == {rule.name for rule in DEFAULT_RULES}
    assert own_rules(DEFAULT_RULES) == []
    assert own_rules([*DEFAULT_RULES, COPY]) == [COPY]
    off = msgspec.structs.replace(ERROR_SPIKE, enabled=False)
    assert judged_names([off, COPY]) == {"my-spike"}
    assert own_rules([off, COPY]) == []  # it stands in for the rule that is off
    other = msgspec.structs.replace(COPY, per=("route",))
    assert own_rules([off, other]) == [other]
    assert own_rules([msgspec.structs.replace(other, enabled=False)]) == []


def test_rule_that_only_confirms_others_opens_nothing_alone() -> None:
    lone = msgspec.structs.replace(ERRORS_ABOVE_USUAL, name="mine", per=("route",), opens="verdict")
    assert own_rules([lone]) == []
    assert judged_names([lone]) == frozenset()
