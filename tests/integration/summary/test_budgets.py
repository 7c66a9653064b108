"""Costs of a summary, a project's tokens of a day, strict schemas, and the place kept free for others."""

from collections.abc import Mapping
from typing import Any, cast

import pytest

from signals.clients.postgres import transaction
from signals.domain.summary.budget import estimated_tokens
from signals.domain.summary.prompt import MAX_PROMPT_TOKENS
from signals.services.summary import IncidentSummarizer
from signals.settings import ModelSettings
from signals.store.summary import model_usage
from tests.integration.summary.cases import Pool, incident_with_job, job, jobs, outputs
from tests.integration.summary.conftest import MakeWorker
from tests.support.model_server import ModelServer, Reply
from tests.support.waiting import until

TALK = """
UPDATE incident_events SET attributes_json = attributes_json || jsonb_build_object('message', %s::text)
WHERE incident_id = %s
"""
USED = "SELECT requests, tokens_in, tokens_out, cost::float8 FROM pipeline.model_usage"


def run_of(pool: Pool) -> Mapping[str, Any]:
    """Return the costs of the only summary."""
    (output,) = outputs(pool)
    return cast(Mapping[str, Any], output.content_json["run"])


def with_settings(settings: ModelSettings, **changed: object) -> ModelSettings:
    """Return other settings."""
    return settings.model_copy(update=changed)


def test_cost_is_stored_where_a_price_is_set(
    pool: Pool, make_worker: MakeWorker, settings: ModelSettings
) -> None:
    incident_with_job(pool)
    make_worker(with_settings(settings, signals_ai_prices="test-model=2/10")).run_one()
    assert run_of(pool)["cost"] == pytest.approx((1200 * 2 + 80 * 10) / 1_000_000)
    with pool.connection() as connection:
        assert connection.execute(USED).fetchall() == [(1, 1200, 80, pytest.approx(0.0032))]


def test_cost_is_unknown_without_a_price(pool: Pool, worker: IncidentSummarizer) -> None:
    incident_with_job(pool)
    worker.run_one()
    assert run_of(pool)["cost"] is None


def test_spent_day_leaves_the_builtin_summary_with_the_reason(
    pool: Pool, make_worker: MakeWorker, settings: ModelSettings, model_server: ModelServer
) -> None:
    worker = make_worker(with_settings(settings, signals_ai_tokens_per_day=1_000))
    for number in (1, 2):
        incident_with_job(pool, number=number)
        worker.run_one()
    assert len(model_server.calls) == 1, "the second incident's project had used its tokens"
    assert [row.status for row in jobs(pool)] == ["succeeded", "succeeded"]
    note = next(
        cast(dict[str, str], row.content_json["verification"])["note"]
        for row in outputs(pool)
        if row.model == "builtin"
    )
    assert note.startswith("The project has used its 1,000 tokens of this day (UTC), which SIGNALS_AI_TOKENS")


def test_budget_is_of_one_project_and_one_day(pool: Pool, make_worker: MakeWorker) -> None:
    with transaction(pool) as connection:
        model_usage.add(connection, "proj_a", "m", tokens_in=5, tokens_out=2, cost=None)
        model_usage.add(connection, "proj_b", "m", tokens_in=100, tokens_out=0, cost=None)
        connection.execute(
            "INSERT INTO pipeline.model_usage VALUES ('proj_a', current_date - 2, 'm', 1, 900, 0, NULL)"
        )
        assert model_usage.tokens_today(connection, "proj_a") == 7


def test_unreadable_answer_is_paid_for_as_well(
    pool: Pool, worker: IncidentSummarizer, model_server: ModelServer
) -> None:
    incident_with_job(pool)
    model_server.reply = Reply(content="no JSON")
    worker.run_one()
    assert job(pool).status == "queued"
    with transaction(pool) as connection:
        assert model_usage.tokens_today(connection, "proj_a") == 1280


def test_strict_schema_is_asked_for(
    pool: Pool, worker: IncidentSummarizer, model_server: ModelServer
) -> None:
    incident_with_job(pool)
    worker.run_one()
    [call] = model_server.calls
    form = cast(dict[str, Any], call.request["response_format"])
    assert (form["type"], form["json_schema"]["strict"]) == ("json_schema", True)
    assert "likely_causes" in form["json_schema"]["schema"]["required"]


def test_refused_schema_is_left_out_and_remembered(
    pool: Pool, worker: IncidentSummarizer, model_server: ModelServer
) -> None:
    model_server.takes_schemas = False
    for number in (1, 2):
        incident_with_job(pool, number=number)
        outcome = worker.run_one()
        assert outcome is not None
        assert (outcome.state, outcome.model) == ("succeeded", "test-model")
    asked = ["response_format" in call.request for call in model_server.calls]
    assert asked == [True, False, False], "the second summary must not try the schema again"


def test_prompt_stays_below_its_tokens(
    pool: Pool, worker: IncidentSummarizer, model_server: ModelServer
) -> None:
    incident_id = incident_with_job(pool)
    long = "the upstream gave no answer, request 4711-0815 " * 8
    with transaction(pool) as connection:
        connection.execute(TALK, [long, incident_id])
    worker.run_one()
    [call] = model_server.calls
    assert 3_000 < estimated_tokens(call.system) + estimated_tokens(call.user) <= MAX_PROMPT_TOKENS
    assert 5 < call.user.count('"ref": "E') < 50
    assert '"ref": "F1"' in call.user


def test_flood_of_slow_calls_leaves_a_place_for_another_projects_critical_incident(
    pool: Pool, make_worker: MakeWorker, settings: ModelSettings, model_server: ModelServer
) -> None:
    for number in range(8):
        incident_with_job(pool, number=number)
    model_server.reply = Reply(hangs=True)
    worker = make_worker(with_settings(settings, signals_ai_concurrency=3, signals_ai_timeout_s=60))
    for _ in range(3):
        worker.step(0)
    until(lambda: len(model_server.calls) == 2)
    critical = incident_with_job(pool, number=99)
    with transaction(pool) as connection:
        connection.execute(
            "UPDATE incidents SET project_id = 'proj_b', severity = 'critical' WHERE id = %s", [critical]
        )
    model_server.reply = Reply()
    worker.step(0)
    until(lambda: any(row.status == "succeeded" for row in jobs(pool)))
    done = {row.incident_id for row in jobs(pool) if row.status == "succeeded"}
    assert done == {critical}
    assert sum(row.status == "running" for row in jobs(pool)) == 2, "the flood's calls still hang"
    model_server.closing.set()
