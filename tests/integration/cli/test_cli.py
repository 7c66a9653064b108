"""The commands for tenancy, incidents and search, against a real database and a real HTTP server."""

import json
from pathlib import Path
from uuid import uuid4

import pytest
from psycopg_pool import ConnectionPool

from signals.clients.opensearch.connection import Client
from signals.clients.postgres import Connection
from signals.errors import DependencyUnavailable, SettingsError
from signals.local.processes.ports import free_port
from tests.integration.cli.conftest import Run
from tests.integration.core.conftest import Keys, OpenOutage, index
from tests.support.events import NOON, TENANCY, errors, event


def test_a_key_is_printed_once_and_can_be_revoked(run: Run) -> None:
    assert "Created acme." in run("orgs", "create", "acme").stdout
    assert "exists already" in run("orgs", "create", "acme").stdout
    assert "Created shop." in run("projects", "create", "shop", "--org", "acme", "--name", "The shop").stdout
    created = run("keys", "create", "--project", "shop", "--scope", "read")
    assert created.exit_code == 0
    key = created.stdout.strip()
    assert key.startswith("sig_read_")
    listed = run("keys", "list", "--json")
    assert key not in listed.stdout
    [row] = json.loads(listed.stdout)
    assert row["revoked_at"] is None
    assert run("keys", "revoke", row["key_id"]).stdout == "Revoked 1 key.\n"
    assert run("keys", "revoke", row["key_id"]).exit_code == 1
    assert json.loads(run("projects", "list", "--json").stdout)[0]["valid_keys"] == 0


def test_lists_are_tables_and_revoking_a_project_revokes_all_its_keys(run: Run, keys: Keys) -> None:
    assert "org_1" in run("orgs", "list").stdout
    assert TENANCY.project_id in run("projects", "list", "--org", "org_1").stdout
    assert "hash_prefix" in run("keys", "list").stdout
    assert "Revoked 3 keys." in run("projects", "revoke", TENANCY.project_id).stdout
    assert "Revoked 2 keys." in run("orgs", "revoke", "org_2").stdout
    assert run("keys", "list", "--project", "nowhere").stdout == "None.\n"


def test_a_refusal_is_one_sentence(run: Run) -> None:
    refused = run("projects", "create", "shop", "--org", "nowhere")
    assert refused.exit_code == 1
    assert (
        refused.stderr == "signals: there is no organisation nowhere: `signals orgs create nowhere` first\n"
    )


@pytest.mark.usefixtures("served")
def test_an_incident_is_readable_in_a_terminal(run: Run, pool: ConnectionPool[Connection]) -> None:
    incident_id = uuid4()
    with pool.connection() as connection:
        connection.execute(
            """INSERT INTO incidents VALUES (%s, 'org_1', 'proj_1', 'prod', 'E|/x|prod', 'open', 'error',
                   %s, %s, %s, NULL)""",
            (incident_id, "Checkout [red]fails\x1b[2J", NOON, NOON),
        )
        connection.execute(
            """INSERT INTO metrics_buckets VALUES (DEFAULT, 'org_1', 'proj_1', 'prod', 'error_count',
                   'E|/x|prod', %s, 60, 40, now())""",
            (NOON,),
        )
    listed = run("incidents", "list", "--status", "open")
    assert str(incident_id) in listed.stdout
    assert json.loads(run("incidents", "list", "--json").stdout)["next_cursor"] is None
    shown = run("incidents", "show", str(incident_id))
    assert shown.exit_code == 0, shown.stderr
    assert "Checkout [red]fails" in shown.stdout
    assert "\x1b[2J" not in shown.stdout
    assert "error_count a minute, at most 40" in shown.stdout
    assert "█" in shown.stdout


@pytest.mark.usefixtures("served")
def test_outage_is_listed_shown_resolved_and_reopened(run: Run, open_outage: OpenOutage) -> None:
    outage_id = str(open_outage("DB_DOWN|/a|prod", "DB_DOWN|/b|prod"))
    listed = run("outages", "list", "--env", "prod")
    assert outage_id in listed.stdout, listed.stderr
    none, remedy = run("outages", "list", "--status", "resolved").stdout.splitlines()
    assert none == "No outages (verdict confirmed)."
    assert remedy.endswith("signals outages list --verdict any")
    assert json.loads(run("outages", "list", "--verdict", "any", "--json").stdout)["next_cursor"] is None
    shown = run("outages", "show", outage_id)
    assert "DB_DOWN|/a|prod fails (and 1 more series)" in shown.stdout, shown.stderr
    assert "2 of 2 incidents" in shown.stdout
    resolved = run("outages", "resolve", outage_id)
    assert "resolved, error, confirmed, prod" in resolved.stdout, resolved.stderr
    assert "(by hand)" in resolved.stdout
    reopened = run("outages", "reopen", outage_id)
    assert "came back once" in reopened.stdout
    [first, _] = json.loads(run("outages", "show", outage_id, "--json").stdout)["incidents"]
    assert f"outage {outage_id} with 1 more, open, confirmed" in run("incidents", "show", first["id"]).stdout
    assert "no outage with this id" in run("outages", "resolve", "nonsense").stderr


@pytest.mark.usefixtures("served")
def test_search_shows_events_and_their_facets(run: Run, opensearch: Client) -> None:
    index(opensearch, [*errors(30, NOON), event("deploy", NOON, release="r1")])
    found = run(
        "search", "TIMEOUT", "-f", "severity:error", "--since", "2026-03-01T12:00:00Z", "--limit", "5"
    )
    assert found.exit_code == 0, found.stderr
    assert found.stdout.count("/checkout") == 6  # five rows and the facet
    assert "30 events" in found.stdout
    assert "error_code: TIMEOUT 30" in found.stdout
    assert "release=r1" not in found.stdout
    compared = run("search", "-f", "event_type:error", "--compare").stdout
    assert "label:route=/checkout" in compared
    assert "in the other 1" in compared
    assert "narrow the search" in run("search", "--compare").stdout
    assert json.loads(run("search", "--json").stdout)["total"]["value"] == 31
    assert run("search", "nothing-like-this").stdout == "0 events\n"


@pytest.mark.usefixtures("served")
def test_command_prints_the_refusal_of_the_api(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = run("search", "-f", "colour:red")
    assert refused.exit_code == 1
    assert "colour is not a filter" in refused.stderr
    assert "no incident with this id" in run("incidents", "show", "nonsense").stderr
    assert run("incidents", "show", "../../healthz").exit_code == 1
    monkeypatch.setenv("READ_API_KEY", "wrong")
    assert "does not exist" in run("incidents", "list").stderr


def test_missing_settings_and_a_dead_api_are_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(run("search").exception, SettingsError)
    monkeypatch.setenv("READ_API_KEY", "k")
    monkeypatch.setenv("CORE_API_URL", "file:///etc/passwd")
    assert "http" in str(run("search").exception)
    monkeypatch.setenv("CORE_API_URL", f"http://127.0.0.1:{free_port()}")
    assert isinstance(run("search").exception, DependencyUnavailable)


def test_local_stacks_file_supplies_unset_variables(run: Run, tmp_path: Path) -> None:
    (tmp_path / ".signals").mkdir()
    (tmp_path / ".signals/env").write_text(f"CORE_API_URL=http://127.0.0.1:{free_port()}\nREAD_API_KEY=k\n")
    assert isinstance(run("incidents", "list").exception, DependencyUnavailable)
