"""The commands for a project's rules, clock and calendar, against a real database and HTTP server."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from psycopg_pool import ConnectionPool
from typer.testing import Result

from signals.clients.postgres import Connection
from signals.domain.detection.buckets import Series, minute_of
from signals.store.detection import buckets
from tests.integration.cli.conftest import Run
from tests.support.events import TENANCY

HEARTBEAT = """
name: heartbeat
kind: absence
on: {event_type: custom, error_code: HEARTBEAT}
after: 20m
"""
PROJECT = TENANCY.project_id


def said(result: Result) -> str:
    """The command's own line: the server shares the process, and logs each change above it."""
    return result.stdout.splitlines()[-1]


@pytest.mark.usefixtures("served")
def test_rule_is_created_changed_disabled_and_removed_by_commands(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "heartbeat.yaml"
    file.write_text(HEARTBEAT)
    assert said(run("rules", "create", str(file))) == "Rule heartbeat is created: version 1, enabled."
    shown = run("rules", "show", "heartbeat").stdout
    assert shown.startswith("# version 1, enabled; created ")
    assert "after: 20" in shown
    edited = run("rules", "edit", "heartbeat", "-", stdin=shown.replace("after: 20", "after: 1h"))
    assert said(edited) == "Rule heartbeat is edited: version 2, enabled."
    again = run("rules", "show", "heartbeat").stdout
    unchanged = run("rules", "edit", "heartbeat", "-", stdin=again)
    assert said(unchanged) == "Rule heartbeat is unchanged: version 2, enabled."
    assert said(run("rules", "disable", "heartbeat")) == "Rule heartbeat is disabled: version 3, disabled."
    history = run("rules", "history", "heartbeat").stdout
    assert "after: 20 to 60" in " ".join(history.split())
    assert [one["version"] for one in json.loads(run("rules", "history", "heartbeat", "--json").stdout)] == [
        3,
        2,
        1,
    ]
    assert run("rules", "enable", "heartbeat").exit_code == 0
    listed = run("rules", "list").stdout
    assert "custom error_code=HEARTBEAT" in " ".join(listed.split())
    assert said(run("rules", "remove", "heartbeat")) == "Rule heartbeat is removed."
    assert "no rule of this name" in run("rules", "show", "heartbeat").stderr


@pytest.mark.usefixtures("served")
def test_draft_is_previewed_by_a_command(run: Run, pool: ConnectionPool[Connection]) -> None:
    minute = minute_of(datetime.now(UTC)) - 100
    series = Series(PROJECT, "prod", "error_count", "TIMEOUT|/pay|prod", TENANCY.org_id)
    with pool.connection() as connection:
        buckets.increment(connection, {(series, minute): 40})
    draft = "{name: mine, kind: floor_ratio, on: {event_type: error}, floor: 20}"
    shown = " ".join(run("rules", "preview", "-", "--series", "route=/pay", stdin=draft).stdout.split())
    assert "Incidents: 1, 1 a week; judged 1 series from" in shown
    assert "40 in 5 min new error_code=TIMEOUT route=/pay environment=prod" in shown
    nothing = run("rules", "preview", "-", "--series", "route=/x", "--json", stdin=draft).stdout
    assert json.loads(nothing)["total"] == 0
    assert run("rules", "preview", "-", "--series", "route", stdin=draft).exit_code == 2
    assert "whole number" in run("rules", "preview", "-", stdin=draft.replace("20", "2.5")).stderr


@pytest.mark.usefixtures("served")
def test_refusals_name_the_remedy(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "rule.yaml"
    file.write_text(HEARTBEAT.replace("20m", "0"))
    assert "whole number from 1 up to 10080" in run("rules", "create", str(file)).stderr
    assert "must hold one rule" in run("rules", "create", "-", stdin="[1, 2]").stderr
    assert (
        "write dates and the like as texts" in run("rules", "create", "-", stdin="after: 2026-01-01").stderr
    )
    assert "cannot read" in run("rules", "create", "nowhere.yaml").stderr
    shown = run("rules", "show", "error-spike").stdout
    assert "rule is locked" in run("rules", "edit", "error-spike", "-", stdin=shown).stderr
    kinds = " ".join(run("rules", "list", "--kinds").stdout.split())
    assert "windows.significance number from 2 up to 50 6.0" in kinds
    assert "baseline.length whole number from 5 up to 70 60" in kinds
    assert "hold.fires whole number from 1 up to 30 1" in kinds
    monkeypatch.setenv("ADMIN_API_KEY", "")
    assert "ADMIN_API_KEY" in str(run("rules", "disable", "error-spike").exception)


@pytest.mark.usefixtures("keys")
def test_project_has_a_clock_and_a_calendar(run: Run) -> None:
    assert run("projects", "time-zone", PROJECT).stdout == "UTC\n"
    assert run("projects", "time-zone", PROJECT, "Europe/Berlin").stdout == "Europe/Berlin\n"
    assert run("projects", "time-zone", PROJECT).stdout == "Europe/Berlin\n"
    assert "write a name like Europe/Berlin" in run("projects", "time-zone", PROJECT, "Mars").stderr
    assert "no project nowhere" in run("projects", "time-zone", "nowhere", "UTC").stderr
    assert "no project nowhere" in run("projects", "time-zone", "nowhere").stderr

    added = run("projects", "add-day", PROJECT, "2026-12-25", "day_off", "--name", "Christmas")
    assert added.stdout == f"2026-12-25 is day off of {PROJECT}: Christmas.\n"
    days = json.loads(run("projects", "days", PROJECT, "--json").stdout)
    assert days == [{"day": "2026-12-25", "kind": "day_off", "name": "Christmas"}]
    assert run("projects", "add-day", PROJECT, "25.12.", "day_off", "--name", "x").exit_code == 2
    assert "1 to 100" in run("projects", "add-day", PROJECT, "2026-12-25", "launch", "--name", "").stderr
    assert run("projects", "remove-day", PROJECT, "2026-12-25").exit_code == 0
    assert "in its calendar" in run("projects", "remove-day", PROJECT, "2026-12-25").stderr
