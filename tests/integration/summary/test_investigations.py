"""The model's own search for the cause of a confirmed incident: once in each outage, after the summary."""

from collections.abc import Iterator
from functools import partial
from typing import Any, LiteralString
from uuid import UUID

import pytest

from signals.clients.llm import open_model
from signals.clients.opensearch.comparison import compare
from signals.clients.opensearch.connection import Client
from signals.clients.opensearch.index import labels_since
from signals.clients.opensearch.search import EventSearch
from signals.clients.postgres import transaction
from signals.services.summary import ComparisonSource, IncidentSummarizer, Policy
from signals.services.summary.toolbox import ToolSources
from signals.settings import ModelSettings
from tests.integration.summary.cases import Pool, incident_with_job, jobs
from tests.support.model_server import ModelServer, Reply

CONFIRM: LiteralString = """
INSERT INTO pipeline.incident_states (incident_id, kind, grouping, verdict) VALUES (%s, 'change', 1, %s)
"""
OUTAGE: LiteralString = """
INSERT INTO pipeline.outages (id, project_id, window_id, opened_at, newest_at, verdict, severity, status)
VALUES (%(id)s, 'proj_a', %(id)s, now(), now(), 'confirmed', 'error', 'open')
"""
MEMBER: LiteralString = """
INSERT INTO pipeline.outage_members (incident_id, outage_id, project_id, environment, fingerprint, opened_at)
SELECT id, %s, project_id, environment, fingerprint, opened_at FROM incidents
"""
CONTENTS: LiteralString = "SELECT content_json FROM ai_outputs WHERE incident_id = %s ORDER BY created_at, id"
SEARCH = Reply(calls=[("past_incidents", {})])
FOUND = Reply(content="No former incident is known [T1].\nIt burns.")


@pytest.fixture
def investigator(pool: Pool, settings: ModelSettings, opensearch: Client) -> Iterator[IncidentSummarizer]:
    """A worker with a model and tools, and without a comparison before."""
    comparison = ComparisonSource(
        compare=partial(compare, opensearch, stop_s=60), labels_since=partial(labels_since, opensearch)
    )
    tools = ToolSources(pool=pool, events=EventSearch(opensearch), comparison=comparison)
    with (
        open_model(settings) as model,
        IncidentSummarizer(pool, model, Policy.of(settings), chance=lambda: 0.0, tools=tools) as summarizer,
    ):
        yield summarizer


def contents(pool: Pool, incident_id: UUID) -> list[dict[str, Any]]:
    """Return an incident's summaries, oldest first."""
    with pool.connection() as connection:
        return [row[0] for row in connection.execute(CONTENTS, [incident_id])]


def incident(pool: Pool, number: int = 1, verdict: str = "confirmed") -> UUID:
    """Store an incident with a job and a verdict."""
    incident_id = incident_with_job(pool, number=number)
    with transaction(pool) as connection:
        connection.execute(CONFIRM, [incident_id, verdict])
    return incident_id


def test_confirmed_incident_gets_what_the_model_found(
    pool: Pool, investigator: IncidentSummarizer, model_server: ModelServer
) -> None:
    incident_id = incident(pool)
    model_server.script.extend([Reply(), SEARCH, FOUND])
    investigator.run_one()
    *before, newest = contents(pool, incident_id)
    assert "investigation" not in before[-1], "the summary must stand before the search begins"
    found = newest["investigation"]
    assert [one["text"] for one in found["statements"]] == ["No former incident is known."]
    assert [one["reason"] for one in found["dropped"]] == ["it cites no result"]
    assert (found["tools"][0]["tool"], found["run"]["requests"]) == ("past_incidents", 2)
    assert newest["title"] == before[-1]["title"]


def test_failed_search_leaves_the_summary_and_the_reason(
    pool: Pool, investigator: IncidentSummarizer, model_server: ModelServer
) -> None:
    incident_id = incident(pool)
    model_server.script.extend([Reply(), Reply(status=500)])
    investigator.run_one()
    assert [row.status for row in jobs(pool)] == ["succeeded"]
    assert "it answered 500" in contents(pool, incident_id)[-1]["investigation"]["failed"]


@pytest.mark.parametrize("verdict", ["unconfirmed", "learning"])
def test_other_verdicts_are_not_investigated(
    pool: Pool, investigator: IncidentSummarizer, model_server: ModelServer, verdict: str
) -> None:
    incident(pool, verdict=verdict)
    investigator.run_one()
    assert len(model_server.calls) == 1


def test_outage_is_investigated_once(
    pool: Pool, investigator: IncidentSummarizer, model_server: ModelServer
) -> None:
    first, second = incident(pool, 1), incident(pool, 2)
    with transaction(pool) as connection:
        connection.execute(OUTAGE, {"id": first})
        connection.execute(MEMBER, [first])
    model_server.script.extend([Reply(), SEARCH, FOUND, Reply()])
    investigator.run_one()
    investigator.run_one()
    assert len(model_server.calls) == 4
    investigated = ["investigation" in contents(pool, one)[-1] for one in (first, second)]
    assert sorted(investigated) == [False, True]
