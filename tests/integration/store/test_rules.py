"""Rules as rows: those of a new project, versions, and the same rows after an upgrade."""

from datetime import UTC, date, datetime
from typing import LiteralString
from zoneinfo import ZoneInfo

import msgspec
import psycopg
import pytest
from psycopg import sql
from psycopg_pool import ConnectionPool

from shared_types import EventType
from signals.clients.postgres import Connection, conninfo
from signals.domain.detection.calendar import CalendarDay
from signals.domain.detection.default_rules import DEFAULT_RULES
from signals.domain.detection.rule_types import Absence, EventSelection
from signals.services.access.provisioning import create_org, create_project
from signals.settings import PostgresSettings
from signals.store.detection import project_calendars, rule_signatures, rules
from signals.store.operations.schema import migrate

HEARTBEAT = Absence(name="heartbeat", on=EventSelection(event_type=EventType.CUSTOM), per=(), after=20)
ROWS: LiteralString = """
SELECT r.name, r.version, r.enabled, r.locked, r.origin, v.change, v.kind, v.spec, v.enabled, v.created_by
FROM pipeline.rules r JOIN pipeline.rule_versions v USING (project_id, name, version)
WHERE project_id = %s ORDER BY name
"""


@pytest.fixture
def projects(pool: ConnectionPool[Connection]) -> ConnectionPool[Connection]:
    """A pool on a database with two projects."""
    create_org(pool, "org_1", "An organisation")
    for project in ("proj_1", "proj_2"):
        create_project(pool, project, org_id="org_1", name="A project")
    return pool


def create(connection: Connection, rule: Absence = HEARTBEAT, *, most: int = 9) -> int | None:
    return rules.create(connection, "proj_1", rule, created_by="key:1", most=most)


def test_new_project_has_the_default_rules(projects: ConnectionPool[Connection]) -> None:
    with projects.connection() as connection:
        found = rules.rules_of(connection, ["proj_1", "proj_2", "older"])
        assert {rule.name: rule for rule in found["proj_1"]} == {rule.name: rule for rule in DEFAULT_RULES}
        assert found["proj_1"] == found["proj_2"]
        assert found["older"] == DEFAULT_RULES  # created by an earlier release: no rows
        assert [entry.origin for entry in rules.entries_of(connection, "proj_1")] == ["default"] * 4


def test_migration_writes_the_rows_that_a_creation_writes(
    database: PostgresSettings, projects: ConnectionPool[Connection]
) -> None:
    with projects.connection() as connection:
        created = connection.execute(ROWS, ["proj_1"]).fetchall()
    with psycopg.connect(conninfo(database), autocommit=True) as administration:
        for table in ("rules", "rule_versions", "project_clocks", "project_days"):
            administration.execute(sql.SQL("DROP TABLE pipeline.{}").format(sql.Identifier(table)))
        administration.execute(
            "DELETE FROM _yoyo_migration WHERE migration_id IN ('0012.rules', '0024.default_windows')"
        )
    migrate(database)
    with projects.connection() as connection:
        rows = connection.execute(ROWS, ["proj_1"]).fetchall()
        assert [_as_created(*row) for row in rows] == created
        assert len(created) == len(DEFAULT_RULES)
        versions = {rule.name: rule.version for rule in rules.rules_of(connection, ["proj_1"])["proj_1"]}
        assert set(versions.values()) == {1, 2}  # the seasonal rules have a version more


def _as_created(name: str, version: int, *rest: object) -> tuple[object, ...]:
    """Return a row as if its newest version were its first."""
    enabled, locked, origin, change, *others = rest
    assert change == ("edited" if version == 2 else "created")
    return (name, 1, enabled, locked, origin, "created", *others)


def test_each_change_is_a_version_that_stays(projects: ConnectionPool[Connection]) -> None:
    with projects.connection() as connection:
        assert create(connection) == 1
        edited = msgspec.structs.replace(HEARTBEAT, after=30)
        assert rules.replace(connection, "proj_1", edited, change="edited", created_by="key:2") == 2
        assert rules.replace(connection, "proj_1", edited, change="edited", created_by="key:2") is None
        second = msgspec.structs.replace(edited, version=2)
        off = msgspec.structs.replace(second, enabled=False)
        assert rules.replace(connection, "proj_1", off, change="disabled", created_by="key:2") == 3
        assert not rules.remove(connection, "proj_1", second, created_by="key:3")  # another version by now
        assert rules.remove(connection, "proj_1", msgspec.structs.replace(off, version=3), created_by="key:3")
        history = rules.history_of(connection, "proj_1", "heartbeat")
        assert [(one.change, one.rule.version, one.rule.enabled) for one in history] == [
            ("removed", 4, False),
            ("disabled", 3, False),
            ("edited", 2, True),
            ("created", 1, True),
        ]
        assert history[-1].rule == HEARTBEAT
        assert HEARTBEAT.name not in [rule.name for rule in rules.rules_of(connection, ["proj_1"])["proj_1"]]
        assert create(connection) == 5


def test_name_is_taken_once_and_a_project_has_so_many_rules(projects: ConnectionPool[Connection]) -> None:
    with projects.connection() as connection:
        assert create(connection, most=5) == 1
        assert create(connection) is None
        other = msgspec.structs.replace(HEARTBEAT, name="other")
        assert create(connection, other, most=5) is None
        assert rules.create(connection, "proj_2", other, created_by="key:1", most=5) == 1


def test_locked_rule_is_not_removed(projects: ConnectionPool[Connection]) -> None:
    with projects.connection() as connection:
        locked = rules.entries_of(connection, "proj_1")[0].newest.rule
        assert locked.locked
        assert not rules.remove(connection, "proj_1", locked, created_by="key:1")
        assert len(rules.entries_of(connection, "proj_1")) == len(DEFAULT_RULES)


def test_project_has_a_zone_and_a_calendar_of_its_own(projects: ConnectionPool[Connection]) -> None:
    launch = CalendarDay(day=date(2026, 3, 2), kind="launch", name="Version 2")
    both = ["proj_1", "proj_2"]
    with projects.connection() as connection:
        assert project_calendars.set_zone(connection, "proj_1", ZoneInfo("Europe/Berlin"))
        assert not project_calendars.set_zone(connection, "nowhere", ZoneInfo("UTC"))
        assert project_calendars.zone_of(connection, both) == {
            "proj_1": ZoneInfo("Europe/Berlin"),
            "proj_2": ZoneInfo("UTC"),
        }
        assert project_calendars.set_day(connection, "proj_1", launch)
        assert not project_calendars.set_day(connection, "nowhere", launch)
        assert project_calendars.calendar_of(connection, both) == {"proj_1": (launch,), "proj_2": ()}
        before = rule_signatures.read(connection, both)
        clocks = project_calendars.clocks_of(connection, both)
        assert clocks["proj_1"].is_special(int(datetime(2026, 3, 1, 23, tzinfo=UTC).timestamp()) // 3600)
        assert not clocks["proj_2"].edges
        assert project_calendars.remove_day(connection, "proj_2", launch.day) == 0
        assert project_calendars.remove_day(connection, "proj_1", launch.day) == 1
        assert project_calendars.calendar_of(connection, both)["proj_1"] == ()
        after = rule_signatures.read(connection, both)
        assert {one for one in both if before[one] != after[one]} == {"proj_1"}
