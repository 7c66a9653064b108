"""The everyday work with the commands alone, against a real database and HTTP server."""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from typer.testing import Result

from tests.integration.cli.conftest import Run
from tests.integration.cli.test_project_rules import said
from tests.integration.core.conftest import OpenOutage
from tests.support.events import NOON

pytestmark = pytest.mark.usefixtures("served")


def test_newcomer_acknowledges_snoozes_resolves_and_reads_the_timeline(
    run: Run, open_outage: OpenOutage
) -> None:
    outage = open_outage("TIMEOUT|/checkout|prod")
    incident = json.loads(run("incidents", "show", "latest", "--json").stdout)["incident"]["id"]
    assert said(run("incidents", "ack", "latest")) == f"Incident {incident}: investigating."
    assert said(run("incidents", "assign", incident[:13], "jane")).endswith("assigned to jane.")
    assert "snoozed until" in said(run("incidents", "snooze", "latest", "--for", "2h", "--events", "100"))
    assert said(run("incidents", "comment", "latest", "the cache is full")).startswith("Comment added")
    assert said(run("incidents", "wake", "latest")) == f"Outage {outage}: not snoozed."
    shown = run("outages", "show", "latest").stdout
    assert "assigned to jane" in shown
    assert said(run("incidents", "resolve", "latest")) == f"Incident {incident}: resolved."
    timeline = run("incidents", "timeline", "latest").stdout
    for word in ("opened", "status", "assigned", "snoozed", "commented", "the cache is full", "woken"):
        assert word in timeline, word
    assert timeline.count("key:") == 6
    assert said(run("incidents", "reopen", "latest")) == f"Incident {incident}: open."


def test_same_verbs_work_on_an_outage(run: Run, open_outage: OpenOutage) -> None:
    outage = open_outage("TIMEOUT|/checkout|prod")
    assert said(run("outages", "ack", outage.hex[:12])) == f"Outage {outage}: investigating."
    assert said(run("outages", "assign", "latest", "--unassign")).endswith("not assigned.")
    assert run("outages", "assign", "latest").exit_code == 2
    assert run("outages", "comment", "latest", "x").exit_code == 0
    assert "commented" in run("outages", "timeline", "latest").stdout
    listed = run("outages", "list", "--status", "unresolved", "--text", "checkout").stdout
    assert str(outage) in listed
    assert "No outages" in run("outages", "list", "--assignee", "jane").stdout


def test_incidents_are_listed_by_assignee_and_what_is_not_resolved(run: Run, open_outage: OpenOutage) -> None:
    open_outage("TIMEOUT|/checkout|prod")
    open_outage("DB|/cart|prod", at=NOON + timedelta(hours=3))
    assert run("incidents", "assign", "latest", "jane").exit_code == 0
    for words in (["--assignee", "jane"], ["--text", "CART"]):
        found = json.loads(run("incidents", "list", *words, "--json").stdout)["incidents"]
        assert [one["fingerprint"] for one in found] == ["DB|/cart|prod"], words
    assert "No incidents" in run("incidents", "list", "--assignee", "joe").stdout
    assert run("incidents", "resolve", "latest").exit_code == 0
    left = run("incidents", "list", "--status", "unresolved", "--severity", "error", "--verdict", "any")
    assert ("checkout" in left.stdout, "cart" in left.stdout) == (True, False)


def test_incidents_stand_for_their_outages_in_merge_and_split(
    run: Run, open_outage: OpenOutage, settle: Callable[[], None]
) -> None:
    first = open_outage("A|/a|prod")
    open_outage("B|/b|prod", at=NOON + timedelta(hours=1))
    settle()
    listed = json.loads(run("incidents", "list", "--json").stdout)["incidents"]
    newest, oldest = (row["id"] for row in listed)
    assert said(run("incidents", "merge", "latest", oldest[:13])) == f"Outage {first}: 2 incidents."
    new = said(run("incidents", "split", "latest"))
    assert new.endswith(": 1 incidents.")
    assert newest in run("outages", "show", new.split()[1].rstrip(":")).stdout


def said_lines(result: Result) -> list[str]:
    """The command's own lines: the server shares the process, and logs each change as JSON."""
    return [line for line in result.stdout.splitlines() if not line.startswith("{")]


def test_several_outages_are_resolved_at_once(run: Run, open_outage: OpenOutage) -> None:
    first, second = open_outage("A|/a|prod"), open_outage("B|/b|prod", at=NOON + timedelta(hours=1))
    answer = run("outages", "resolve", str(first), str(second))
    assert said_lines(answer) == [f"Outage {first}: resolved", f"Outage {second}: resolved"]
    mixed = run("outages", "reopen", str(first), "00000000")
    assert mixed.exit_code == 1
    assert said_lines(mixed)[1].startswith("Outage 00000000: not changed. Your project has no outage")
    assert str(first) in run("outages", "list", "--status", "open", "--sort", "severity").stdout
    assert run("outages", "list", "--sort", "title").exit_code == 1


def test_maintenance_begins_and_ends(run: Run) -> None:
    began = said(run("maintenance", "start", "--for", "30m", "--env", "prod", "--reason", "upgrade"))
    assert "signals maintenance end " in began
    assert "upgrade" in run("maintenance", "list").stdout
    assert said(run("maintenance", "end")).startswith("Ended ")
    assert said(run("maintenance", "list")) == "None."
    assert "no window goes on" in run("maintenance", "end").stderr


def test_audit_names_the_command_that_created_a_key(run: Run) -> None:
    assert run("keys", "create", "--project", "proj_1", "--scope", "public").exit_code == 0
    assert "public key created" in run("audit", "list").stdout
    [row] = json.loads(run("audit", "list", "--limit", "1", "--json").stdout)
    assert row["actor"].startswith("cli:")


@pytest.mark.parametrize("length", ["30", "0m", "soon", "-5m"])
def test_length_that_is_none_is_refused_with_an_example(run: Run, length: str) -> None:
    answer = run("incidents", "snooze", "latest", f"--for={length}")
    assert answer.exit_code == 2
    assert "30m, 6h or 7d" in answer.stderr
