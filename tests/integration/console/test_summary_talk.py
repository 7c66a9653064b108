"""People say whether a summary was useful, and ask the model about its incident, from the page."""

import json
from collections.abc import Iterator
from typing import Final
from uuid import uuid4

import pytest
from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection, transaction
from signals.domain.access.people import Role
from tests.integration.console.conftest import BASE, Visitor
from tests.support.console_world import World, add_incident
from tests.support.model_server import ModelServer, Reply, open_model_server, variables_of

Pool = ConnectionPool[Connection]
SAID: Final = Reply(content="- The database burns.\n- The search found events [T1].\n")
FACETS: Final = Reply(calls=[("facets", {"filters": "event_type:error"})])


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelServer]:
    """A scripted model, and the environment that names it."""
    with open_model_server() as server:
        for name, value in variables_of(server).items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.fixture
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key of a model."""
    monkeypatch.delenv("GRADIENT_API_KEY", raising=False)


def test_feedback_is_stored_in_the_name_of_the_person(
    visitor: Visitor, pool: Pool, world: World, no_model: None
) -> None:
    person, path = visitor(Role.RESPONDER), f"{BASE}/incidents/{world.open_id}"
    fields = {"useful": "false", "version": "1", "cause": "A price of null", "facts": "2026.11.29.1, /cart"}
    answer = person.post(f"{path}/feedback", data=fields)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{path}#feedback")
    page = person.get(path).text
    assert "not useful" in page
    assert ": A price of null" in page
    assert "0 of 1 say yes" in page
    with pool.connection() as connection:
        rows = connection.execute("SELECT useful, facts, actor FROM pipeline.summary_feedback").fetchall()
    assert [(useful, facts) for useful, facts, _ in rows] == [(False, ["2026.11.29.1", "/cart"])]
    assert rows[0][2].startswith("user:")
    assert ": A price of null" in visitor(Role.VIEWER).get(path).text


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({"cause": "A price"}, 422, "Useful: fill it in."),
        ({"useful": "maybe"}, 422, "Useful: fill it in."),
        ({"useful": "true", "cause": "x" * 501}, 422, "What it really was: write at most 500 characters."),
        ({"useful": "true", "version": "99"}, 409, "version"),
    ],
)
def test_wrong_feedback_is_named(
    visitor: Visitor, world: World, no_model: None, fields: dict[str, str], status: int, said: str
) -> None:
    answer = visitor(Role.RESPONDER).post(f"{BASE}/incidents/{world.open_id}/feedback", data=fields)
    assert answer.status_code == status
    assert said in answer.text


def test_page_says_why_nothing_can_be_asked(visitor: Visitor, world: World, no_model: None) -> None:
    person, path = visitor(Role.RESPONDER), f"{BASE}/incidents/{world.open_id}"
    page = person.get(path).text
    assert "Set GRADIENT_API_KEY" in page
    assert "data-ask" not in page
    refused = person.post(f"{path}/ask", data={"question": "Why?"})
    assert refused.status_code == 409
    assert "Set GRADIENT_API_KEY" in refused.text


def test_spent_budget_is_said_instead_of_the_form(
    visitor: Visitor, pool: Pool, world: World, model: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGNALS_AI_TOKENS_PER_DAY", "1000")
    with transaction(pool) as connection:
        connection.execute(
            "INSERT INTO pipeline.model_usage (project_id, day, model, tokens_in, tokens_out, requests)"
            " VALUES ('shop', (now() AT TIME ZONE 'UTC')::date, 'test-model', 900, 200, 1)"
        )
    page = visitor(Role.RESPONDER).get(f"{BASE}/incidents/{world.open_id}").text
    assert "SIGNALS_AI_TOKENS_PER_DAY" in page
    assert "data-ask" not in page


def test_question_of_a_form_is_answered_on_the_page(
    visitor: Visitor, world: World, model: ModelServer
) -> None:
    model.script.extend([FACETS, SAID])
    person, path = visitor(Role.RESPONDER), f"{BASE}/incidents/{world.open_id}"
    answer = person.post(f"{path}/ask", data={"question": "Why <now>?"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"{path}#questions")
    page = person.get(path).text
    assert "Why &lt;now&gt;?" in page
    assert "The search found events." in page
    assert "1 statement did not hold and was removed" in page
    assert "facets" in page
    assert "test-model · prompt" in page


def test_question_of_a_script_is_streamed(visitor: Visitor, world: World, model: ModelServer) -> None:
    model.script.extend([FACETS, SAID])
    path = f"{BASE}/incidents/{world.open_id}/ask"
    answer = visitor(Role.RESPONDER).post(
        path, data={"question": "Why?"}, headers={"Accept": "text/event-stream"}
    )
    assert answer.headers["content-type"].startswith("text/event-stream")
    kinds = [line.removeprefix("event: ") for line in answer.text.splitlines() if line.startswith("event: ")]
    assert kinds == ["tool", "dropped", "statement", "done"]


def test_investigation_cost_and_incidents_around_are_shown(
    visitor: Visitor, pool: Pool, world: World, no_model: None
) -> None:
    former = add_incident(pool, status="resolved", fingerprint="OLD|/cart|prod")
    content = {
        "impact": "Carts fail.",
        "run": {"prompt": "summary-9", "seconds": 3.21, "tokens_in": 2100, "tokens_out": 310, "cost": 0.0041},
        "investigation": {
            "statements": [{"text": "Only release 7 fails.", "refs": ["T1", "T2"]}],
            "tools": [
                {"ref": "T1", "tool": "facets", "arguments": "{}", "result": json.dumps({"release": 7})}
            ],
        },
        "surroundings": {
            "past": [
                {
                    "incident_id": str(former),
                    "alike": "series",
                    "opened_at": "2026-01-01T00:00:00+00:00",
                    "cause": "A null price",
                }
            ],
            "concurrent": [
                {
                    "incident_id": str(world.investigating_id),
                    "fingerprint": "UPSTREAM_TIMEOUT|/search|prod",
                    "severity": "warn",
                    "opened_at": "2026-01-01T00:00:00+00:00",
                }
            ],
        },
    }
    with transaction(pool) as connection:
        connection.execute(
            "INSERT INTO ai_outputs (id, incident_id, output_type, model, content_json, created_at)"
            " VALUES (%s, %s, 'summary', 'some-model', %s, now() + interval '1 second')",
            [uuid4(), world.open_id, Jsonb(content)],
        )
    page = visitor(Role.VIEWER).get(f"{BASE}/incidents/{world.open_id}").text
    assert "prompt summary-9 · 3.2 s · 2,100 tokens read, 310 written · cost 0.0041" in page
    assert "Only release 7 fails." in page
    assert "A null price" in page
    for incident_id in (former, world.investigating_id):
        assert f'<a href="{BASE}/incidents/{incident_id}">' in page
