"""Feedback and questions by command: given, listed, exported as cases that the score can use; asked."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg_pool import ConnectionPool

from signals.cases.answering import AnswerableCase, answer_case
from signals.cases.files import read_cases
from signals.cases.making import make_case
from signals.cases.scoring import judge
from signals.clients.opensearch.connection import Client
from signals.clients.postgres import Connection
from signals.errors import SettingsError
from signals.store.summary import ai_outputs
from tests.integration.cli.conftest import Run
from tests.integration.core.conftest import OpenIncident, OpenOutage
from tests.support.case_index import index_case, store_case
from tests.support.model_server import Reply, open_model_server


def summarize(pool: ConnectionPool[Connection], incident_id: UUID, content: Mapping[str, Any]) -> None:
    """Store one summary."""
    with pool.connection() as connection:
        ai_outputs.insert(
            connection, output_id=uuid4(), incident_id=incident_id, model="builtin", content=content
        )


@pytest.mark.usefixtures("served")
def test_incident_becomes_a_case_of_its_own(
    run: Run, pool: ConnectionPool[Connection], opensearch: Client, tmp_path: Path
) -> None:
    events, truth = make_case("zone_down", 7)
    count = index_case(opensearch, events)
    incident_id = store_case(pool, events, truth)
    summarize(pool, incident_id, {"likely_causes": ["?"], "confidence": 0.1})
    folder = tmp_path / "cases"
    with pytest.raises(SettingsError, match="no incident has a known cause"):
        raise run("ai", "cases", "export", str(folder)).exception or AssertionError
    facts = [option for group in truth["facts"] for option in ("--fact", group[0])]
    given = run("incidents", "feedback", str(incident_id), "--not-useful", "--cause", "the zone", *facts)
    assert given.stdout.endswith("Stored for version 1; 1 answer on this incident.\n")
    assert "the zone" in run("ai", "feedback", "list").stdout
    assert "0.00 to" in run("ai", "feedback", "precision").stdout
    assert "1 cases in" in run("ai", "cases", "export", str(folder)).stdout
    [(exported, own)] = read_cases(folder)
    assert 0.8 * count < len(exported) <= count
    answer = answer_case(AnswerableCase(name=own["case"], fingerprint=own["fingerprint"], events=exported))
    assert answer is not None
    assert judge(own, answer).at_1
    few = run("ai", "cases", "export", str(folder), "--max-events", "300")
    assert "too many events around it" in few.stderr


@pytest.mark.usefixtures("served")
def test_answer_on_an_outage_is_given_by_command(
    run: Run, pool: ConnectionPool[Connection], open_outage: OpenOutage
) -> None:
    outage_id = open_outage("E|/a|prod")
    with pool.connection() as connection:
        [(incident_id,)] = connection.execute("SELECT id FROM incidents").fetchall()
    summarize(pool, incident_id, {"likely_causes": ["?"], "confidence": 0.1})
    given = run("outages", "feedback", str(outage_id), "--useful")
    assert given.stdout.endswith("Stored for version 1; 1 answer on this outage.\n")


@pytest.mark.usefixtures("served")
def test_question_without_a_model_names_the_variable(run: Run, open_incident: OpenIncident) -> None:
    refused = run("incidents", "ask", str(open_incident()), "Why?")
    assert refused.exit_code == 1
    assert "Set GRADIENT_API_KEY" in refused.stderr


@pytest.mark.usefixtures("served")
def test_answer_is_printed_as_it_comes(
    run: Run, open_incident: OpenIncident, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_model_server() as model:
        monkeypatch.setenv("GRADIENT_BASE_URL", model.base_url)
        monkeypatch.setenv("GRADIENT_API_KEY", "sk-test")
        model.script.extend(
            [Reply(calls=[("past_incidents", {})]), Reply(content="It is the first [T1].\nIt burns.")]
        )
        answered = run("incidents", "ask", str(open_incident()), "Was it here before?")
    assert answered.exit_code == 0, answered.stderr
    for said in (
        "T1 past_incidents {}: No former incident of this series.",
        "It is the first. [T1]",
        "1 statements were dropped: it cites no result",
        "2400 tokens read",
    ):
        assert said in answered.stdout
