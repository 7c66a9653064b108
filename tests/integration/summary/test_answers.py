"""The outcome of a job for each kind of the model's answer."""

from collections.abc import Mapping
from datetime import timedelta
from typing import LiteralString, cast
from uuid import uuid4

import pytest
import structlog

from signals.clients.postgres import transaction
from signals.domain.summary.prompt import PROMPT_VERSION
from signals.services.summary import IncidentSummarizer
from signals.settings import ModelSettings
from tests.integration.summary.cases import OLD_TITLE, Pool, incident_with_job, job, make_due, outputs, title
from tests.integration.summary.conftest import KEY, MakeWorker
from tests.support.model_server import ModelServer, Reply

DEPLOY: LiteralString = """
INSERT INTO pipeline.deploys (project_id, event_id, environment, release, status, occurred_at, received_at)
VALUES (%(project_id)s, %(id)s, 'prod', %(release)s, 'success', now() - interval '15 minutes', now())
"""


def verification(content: Mapping[str, object]) -> Mapping[str, object]:
    """Return the stored verification."""
    return cast(Mapping[str, object], content["verification"])


def test_a_good_answer_is_stored_with_its_title_and_its_event_ids(
    pool: Pool, worker: IncidentSummarizer, model_server: ModelServer
) -> None:
    incident_id = incident_with_job(pool)
    outcome = worker.run_one()
    assert outcome is not None
    assert (outcome.state, outcome.model) == ("succeeded", "test-model")
    assert (job(pool).status, job(pool).leased_until, job(pool).attempt_count) == ("succeeded", None, 0)
    (output,) = outputs(pool)
    assert (output.incident_id, output.output_type, output.model) == (incident_id, "summary", "test-model")
    found = verification(output.content_json)
    assert (found["claimed"], found["verified"], found["dropped"]) == (5, 5, [])
    assert len(cast(list[str], found["event_ids"])) == 1
    assert output.content_json["confidence"] == 0.9
    run = cast(dict[str, object], output.content_json["run"])
    assert (run["prompt"], run["tokens_in"], run["tokens_out"]) == (PROMPT_VERSION, 1200, 80)
    assert title(pool, incident_id) == "Checkout fails: its upstream times out"
    (call,) = model_server.calls
    assert (call.authorization, call.model) == (f"Bearer {KEY}", "test-model")
    assert 40 < call.user.count('"ref": "E') <= 50  # as many of fifty as the prompt's tokens hold
    assert worker.run_one() is None


def test_withdrawn_model_is_skipped_and_the_answering_one_named(
    pool: Pool, make_worker: MakeWorker, settings: ModelSettings, model_server: ModelServer
) -> None:
    incident_with_job(pool)
    model_server.models = ["second", "third"]
    worker = make_worker(settings.model_copy(update={"gradient_model": "first, second,third"}))
    with structlog.testing.capture_logs() as logs:
        outcome = worker.run_one()
    assert outcome is not None
    assert (outcome.state, outcome.model) == ("succeeded", "second")
    assert [output.model for output in outputs(pool)] == ["second"]
    assert [call.model for call in model_server.calls] == ["first", "second"]
    assert [line["model"] for line in logs if line["event"] == "model not served, asking the next"] == [
        "first"
    ]


def test_only_a_withdrawn_model_is_skipped(
    pool: Pool, make_worker: MakeWorker, settings: ModelSettings, model_server: ModelServer
) -> None:
    incident_with_job(pool)
    model_server.reply = Reply(status=500)
    outcome = make_worker(settings.model_copy(update={"gradient_model": "first,second"})).run_one()
    assert outcome is not None
    assert outcome.state == "retrying"
    assert [call.model for call in model_server.calls] == ["first"]


def test_missing_model_names_the_variable(
    pool: Pool, make_worker: MakeWorker, settings: ModelSettings, model_server: ModelServer
) -> None:
    incident_with_job(pool)
    model_server.models = ["other"]
    outcome = make_worker(settings.model_copy(update={"gradient_model": "first,second"})).run_one()
    assert outcome is not None
    assert (outcome.state, outcome.model) == ("failed", "builtin")
    assert "GRADIENT_MODEL" in str(outcome.error)


def test_without_a_key_the_builtin_summarizer_answers_and_says_so(
    pool: Pool, make_worker: MakeWorker, settings: ModelSettings, model_server: ModelServer
) -> None:
    incident_id = incident_with_job(pool)
    outcome = make_worker(settings.model_copy(update={"gradient_api_key": None})).run_one()
    assert outcome is not None
    assert outcome.state == "succeeded"
    (output,) = outputs(pool)
    assert output.model == "builtin"
    assert "GRADIENT_API_KEY" in str(verification(output.content_json)["note"])
    assert title(pool, incident_id) == (
        "UPSTREAM_TIMEOUT on /checkout/1 in prod: 1240 errors in 5 min, normal is 2"
    )
    assert model_server.calls == []


def test_server_errors_are_retried_with_backoff_and_fail_after_three(
    pool: Pool, worker: IncidentSummarizer, model_server: ModelServer
) -> None:
    incident_id = incident_with_job(pool)
    model_server.reply = Reply(status=500)
    seen = []
    for _ in range(3):
        worker.run_one()
        seen.append(job(pool))
        assert worker.run_one() is None, "the job ran before its backoff was over"
        make_due(pool)
    assert [row.status for row in seen] == ["queued", "queued", "failed"]
    assert [row.attempt_count for row in seen] == [1, 2, 3]
    assert [row.wait for row in seen[:2]] == [timedelta(seconds=5), timedelta(seconds=10)]
    assert seen[2].leased_until is None
    assert len(model_server.calls) == 3
    (output,) = outputs(pool)
    assert output.model == "builtin"
    assert "it answered 500" in str(verification(output.content_json)["note"])
    assert title(pool, incident_id) == OLD_TITLE


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "30"},
        {"Retry-After": "Wed, 04 Mar 2026 12:00:30 GMT", "Date": "Wed, 04 Mar 2026 12:00:00 GMT"},
    ],
)
def test_retry_after_is_honoured(
    pool: Pool, worker: IncidentSummarizer, model_server: ModelServer, headers: Mapping[str, str]
) -> None:
    incident_with_job(pool)
    model_server.reply = Reply(status=429, headers=headers)
    worker.run_one()
    assert (job(pool).status, job(pool).wait) == ("queued", timedelta(seconds=30))
    assert job(pool).last_error == "the model is unavailable: it answered 429"


@pytest.mark.parametrize("reply", [Reply(hangs=True), Reply(drips=True)], ids=["hangs", "drips"])
def test_a_silent_or_dripping_model_times_out(
    pool: Pool, make_worker: MakeWorker, settings: ModelSettings, model_server: ModelServer, reply: Reply
) -> None:
    incident_with_job(pool)
    model_server.reply = reply
    make_worker(settings.model_copy(update={"signals_ai_timeout_s": 0.5})).run_one()
    assert job(pool).status == "queued"
    assert "within 0.5 s" in str(job(pool).last_error)


def test_an_unreachable_model_is_retried(
    pool: Pool, make_worker: MakeWorker, settings: ModelSettings
) -> None:
    incident_with_job(pool)
    make_worker(settings.model_copy(update={"gradient_base_url": "http://127.0.0.1:9/v1"})).run_one()
    assert job(pool).status == "queued"
    assert job(pool).last_error == "the model is unavailable: the connection failed"


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(content="I am sorry, I cannot."), "Invalid JSON"),
        (Reply(content="```json\n{}\n```"), "code fence"),
        (Reply(content=""), "Invalid JSON"),
        (Reply(changes={"mood": "good"}), "mood"),
    ],
)
def test_a_refused_answer_is_retried_and_the_next_prompt_says_why(
    pool: Pool, worker: IncidentSummarizer, model_server: ModelServer, reply: Reply, reason: str
) -> None:
    incident_with_job(pool)
    model_server.script.append(reply)
    worker.run_one()
    assert job(pool).status == "queued"
    assert reason in str(job(pool).last_error)
    make_due(pool)
    worker.run_one()
    assert job(pool).status == "succeeded"
    assert "previous answer was refused" not in model_server.calls[0].user
    assert reason in model_server.calls[1].user.split("previous answer was refused")[1]


@pytest.mark.parametrize(
    ("status", "variable"), [(401, "GRADIENT_API_KEY"), (403, "GRADIENT_API_KEY"), (404, "GRADIENT_MODEL")]
)
def test_a_refused_key_or_model_fails_at_once_and_names_the_variable(
    pool: Pool, worker: IncidentSummarizer, model_server: ModelServer, status: int, variable: str
) -> None:
    incident_with_job(pool)
    model_server.reply = Reply(status=status)
    worker.run_one()
    assert (job(pool).status, job(pool).attempt_count) == ("failed", 1)
    assert variable in str(job(pool).last_error)
    assert [output.model for output in outputs(pool)] == ["builtin"]
    assert len(model_server.calls) == 1


def test_invented_evidence_is_dropped_and_confidence_capped(
    pool: Pool, worker: IncidentSummarizer, model_server: ModelServer
) -> None:
    incident_id = incident_with_job(pool)
    evidence = ["[E1] a checkout failed", "[E777] the database burns", "[F2] 99999 errors", "because"]
    changes = {"evidence": evidence, "title": "31337 orders lost", "confidence": 1.0}
    model_server.reply = Reply(changes=changes)
    worker.run_one()
    (output,) = outputs(pool)
    stored = cast(list[str], output.content_json["evidence"])
    assert len(stored) == 2
    assert stored[1].startswith("[F2] 31 errors in the 5 minutes")
    assert output.content_json["confidence"] == 0.25
    assert len(cast(list[object], verification(output.content_json)["dropped"])) == 4
    assert title(pool, incident_id).startswith("UPSTREAM_TIMEOUT on /checkout/1 in prod: 1240 errors")


def test_an_empty_title_leaves_the_incidents_own(
    pool: Pool, worker: IncidentSummarizer, model_server: ModelServer
) -> None:
    incident_id = incident_with_job(pool)
    model_server.reply = Reply(changes={"title": " \n"})
    worker.run_one()
    assert job(pool).status == "succeeded"
    assert title(pool, incident_id) == OLD_TITLE


def test_summary_names_the_deploy_before_the_incident(
    pool: Pool, worker: IncidentSummarizer, model_server: ModelServer
) -> None:
    incident_with_job(pool)
    with transaction(pool) as connection:
        for project, release in (("proj_a", "2026.3.4.1"), ("proj_b", "theirs")):
            connection.execute(DEPLOY, {"id": uuid4(), "project_id": project, "release": release})
    worker.run_one()
    [call] = model_server.calls
    assert "release 2026.3.4.1 was deployed 3 minutes before the incident opened" in call.user
    assert "theirs" not in call.user


def test_logs_hold_the_outcome_without_prompt_and_key(
    pool: Pool, worker: IncidentSummarizer, model_server: ModelServer
) -> None:
    incident_with_job(pool)
    model_server.reply = Reply(status=401)
    with structlog.testing.capture_logs() as lines:
        worker.run_one()
    assert [line["event"] for line in lines] == ["job leased", "job ended"]
    assert KEY not in str(lines)
    assert "exhibits" not in str(lines)
