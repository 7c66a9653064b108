"""The ai-worker's verbs: lease a job, assemble, ask, check, and finish it in one transaction.

It reads no clock: the database computes leases and waits. Source: docs/requirements.md, R28 to R32.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Final, Self

import structlog
from psycopg_pool import ConnectionPool

from signals.clients.llm import Model
from signals.clients.postgres import Connection, transaction
from signals.domain.operations.retry import JobFailure, decide
from signals.domain.summary.answer import correction_of
from signals.domain.summary.builtin import BUILTIN_MODEL
from signals.domain.summary.checking import CheckedSummary
from signals.errors import Fenced
from signals.services.leasing import LeaseKeeper
from signals.services.summary.asking import ModelAnswer, ask_model
from signals.services.summary.case import SummaryCase, assemble, surroundings_of
from signals.services.summary.comparing import ComparedIncident, ComparisonSource
from signals.services.summary.investigating import investigate
from signals.services.summary.policy import JobOutcome, Policy
from signals.services.summary.spending import RATE_LIMIT, Spending
from signals.services.summary.toolbox import Toolbox, ToolSources
from signals.services.summary.turns import LOOK_S, ComparisonTurn, ComparisonTurns
from signals.services.summary.versions import ACTOR, ASKED, FOUND, output_id, store, store_first, store_found
from signals.store import leases
from signals.store.access import limits
from signals.store.incidents import incident_changes
from signals.store.summary import ai_outputs, incident_briefs
from signals.store.summary.ai_jobs import QUEUE, JobLease

ASKING: Final = "The model is being asked: the built-in summarizer answered."
LEASE_LOST: Final = "the lease passed to another worker"
NO_KEY: Final = "No GRADIENT_API_KEY is set: the built-in summarizer answered."

log = structlog.get_logger(__name__)


class IncidentSummarizer:
    """Runs due jobs, up to `policy.concurrency` at once; used by one thread, as a context manager.

    Without a model the built-in summarizer answers. `chance` returns numbers in [0, 1) for the jitter;
    `comparison` is how failing and working requests are compared, None where that is not possible. With
    `tools` the model investigates a confirmed incident, once in each outage.
    """

    def __init__(
        self,
        pool: ConnectionPool[Connection],
        model: Model | None,
        policy: Policy,
        *,
        chance: Callable[[], float],
        comparison: ComparisonSource | None = None,
        tools: ToolSources | None = None,
    ) -> None:
        self._pool = pool
        self._model = model
        self._policy = policy
        self._spending = Spending(pool, policy.budget, policy.rate)
        self._chance = chance
        self._note = NO_KEY if model is None else ASKING
        self._is_quick = model is None and comparison is None  # then a first version gains no time
        self._turns = ComparisonTurns(pool, comparison)
        self._tools = tools
        self._changed = threading.Event()
        self._running: dict[Future[JobOutcome], str] = {}  # with the project of each
        self._threads = ThreadPoolExecutor(policy.concurrency, thread_name_prefix="summary")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(wait=True)

    def step(self, timeout_s: float) -> int:
        """Start what is due, wait until a job ends or `wake`, and return how many ended.

        Raises:
            DependencyUnavailable: when PostgreSQL is away; jobs in mid-call are rescued after their lease.
        """
        some_wait = self._turns.hasten()
        while len(self._running) < self._policy.concurrency and (taken := self._take()) is not None:
            held, project_id = taken
            future = self._threads.submit(self._run, held)
            future.add_done_callback(lambda _: self._changed.set())
            self._running[future] = project_id
        self._changed.wait(min(timeout_s, LOOK_S) if some_wait else timeout_s)
        self._changed.clear()
        ended = {future for future in self._running if future.done()}
        for future in ended:
            del self._running[future]
            future.result()  # an unexpected error of a job is an error of ours
        return len(ended)

    def wake(self) -> None:
        """End the current or next wait of `step`: a job was announced. May be called from any thread."""
        self._changed.set()

    def owned(self) -> list[int]:
        """Return no partitions: jobs are leased, not assigned."""
        return []

    def detail(self) -> str:
        """Return what a heartbeat says of the work under way: nothing."""
        return ""

    def lag(self) -> int:
        """Return how many jobs wait for a worker."""
        with transaction(self._pool) as connection:
            return leases.count_due(connection, QUEUE)

    def run_one(self) -> JobOutcome | None:
        """Run one due job here and now; None when none may run.

        Raises:
            DependencyUnavailable: when PostgreSQL is away.
        """
        taken = self._take()
        return None if taken is None else self._run(taken[0])

    def _take(self) -> tuple[JobLease, str] | None:
        """Lease a job and, when the model will be asked, a request: both or none; name the job's project."""
        with transaction(self._pool) as connection:
            held = leases.lease(connection, QUEUE, lease=self._policy.lease)
            if held is None:
                return None
            project_id = incident_briefs.project_of(connection, held.incident_id)
            if self._is_kept_free(project_id):
                connection.rollback()
                return None
            asks = self._model is not None and not held.is_exhausted
            if asks and not limits.reserve_tokens(connection, RATE_LIMIT, self._policy.rate.bucket):
                connection.rollback()
                return None
        log.info("job leased", job_id=str(held.job_id), attempts_failed=held.attempt_count)
        return held, project_id

    def _is_kept_free(self, project_id: str) -> bool:
        """Whether only one place is left, and the project has all others: a call of the model may be long.

        The queue gives the job of another project first, so none other of its severity waits then.
        """
        others = list(self._running.values())
        return len(others) == self._policy.concurrency - 1 > 0 and set(others) == {project_id}

    def _run(self, held: JobLease) -> JobOutcome:
        case = assemble(self._pool, held.incident_id, redacted=self._policy.redacts)
        if not self._is_quick:
            store_first(self._pool, held, case, self._note, retitles=self._model is None)
        turn = self._turns.take(held, case.known, output_id(held, FOUND))
        if turn.part is not None:
            store_found(self._pool, held, self._explained(case, turn.part), self._note)
        if not turn.is_last or turn.compared is None:
            return self._postponed(held, turn)
        case = self._explained(case, turn.compared)
        if held.is_exhausted:
            lost = JobFailure(reason=held.last_error or "the worker was lost", permanent=True)
            before = replace(held, attempt_count=held.attempt_count - 1)  # the lease has counted it
            outcome = self._fail(before, case, lost)
        elif self._model is None:
            outcome = self._succeed(held, BUILTIN_MODEL, case.builtin_summary(NO_KEY))
        elif self._spending.is_spent(case.known.incident.project_id):
            outcome = self._succeed(held, BUILTIN_MODEL, case.builtin_summary(self._policy.budget.spent_note))
        else:
            if turn.compared.findings is not None:
                store_found(self._pool, held, case, self._note)
            with LeaseKeeper(self._pool, QUEUE, held, lease=self._policy.lease) as keeper:
                answered = ask_model(self._model, case, correction_of(held.last_error), self._spending)
                if isinstance(answered, ModelAnswer):
                    answered = self._investigated(self._model, keeper.held, case, answered)
            if isinstance(answered, JobFailure):
                outcome = self._fail(keeper.held, case, answered)
            else:
                outcome = self._succeed(keeper.held, answered.model, answered.of(case))
        log.info(
            "job ended",
            job_id=str(held.job_id),
            state=outcome.state,
            model=outcome.model,
            error=outcome.error,
        )
        return outcome

    def _explained(self, case: SummaryCase, compared: ComparedIncident) -> SummaryCase:
        around = surroundings_of(self._pool, case.known.incident, compared.findings)
        return case.explained(compared).beside(around).fitted()

    def _investigated(
        self, model: Model, held: JobLease, case: SummaryCase, answered: ModelAnswer
    ) -> ModelAnswer:
        """Let the model search for what caused a confirmed incident, after its summary is stored."""
        if self._tools is None or not self._policy.investigates:
            return answered
        project_id = case.known.incident.project_id
        with transaction(self._pool) as connection:
            is_due = ai_outputs.is_investigation_due(connection, held.incident_id)
            if not is_due or self._spending.is_spent_in(connection, project_id):
                return answered
            incident_changes.act_on(connection, held.incident_id, ACTOR)
            store(connection, held, answered.model, answered.of(case), name=ASKED)
        toolbox = Toolbox(self._tools, case.known, redacts=self._policy.redacts)
        found = investigate(model, case, toolbox, self._spending)
        return replace(answered, investigation=found)

    def _postponed(self, held: JobLease, turn: ComparisonTurn) -> JobOutcome:
        """Queue the job again: the version that is stored stands until the index is ready."""
        if not self._turns.postpone(held, turn.progress):
            return JobOutcome(job_id=held.job_id, state="fenced", error=LEASE_LOST)
        notes = turn.compared.notes if turn.compared else ()
        waits = f"the index has yet to take {turn.progress.missing} records"
        log.info("job waits for the index", job_id=str(held.job_id), missing=turn.progress.missing)
        return JobOutcome(job_id=held.job_id, state="retrying", error=notes[0] if notes else waits)

    def _succeed(self, held: JobLease, model: str, summary: CheckedSummary) -> JobOutcome:
        try:
            with transaction(self._pool) as connection:
                incident_changes.act_on(connection, held.incident_id, ACTOR)
                incident_briefs.retitle(connection, held.incident_id, summary.title)
                _must_hit(leases.succeed(connection, QUEUE, held))
                store(connection, held, model, summary)
        except Fenced as fenced:
            return JobOutcome(job_id=held.job_id, state="fenced", error=str(fenced))
        return JobOutcome(job_id=held.job_id, state="succeeded", model=model)

    def _fail(self, held: JobLease, case: SummaryCase, failure: JobFailure) -> JobOutcome:
        """Queue the job again, or give it up with a built-in summary; the title stays as it is."""
        decision = decide(
            failure, attempt_count=held.attempt_count, max_attempts=held.max_attempts, chance=self._chance()
        )
        count, error = decision.attempt_count, failure.reason
        try:
            with transaction(self._pool) as connection:
                incident_changes.act_on(connection, held.incident_id, ACTOR)
                if decision.delay is not None:
                    _must_hit(
                        leases.retry_later(
                            connection, QUEUE, held, attempt_count=count, delay=decision.delay, error=error
                        )
                    )
                    return JobOutcome(job_id=held.job_id, state="retrying", error=error)
                _must_hit(leases.fail(connection, QUEUE, held, attempt_count=count, error=error))
                note = f"The model failed ({error}): the built-in summarizer answered."
                store(connection, held, BUILTIN_MODEL, case.builtin_summary(note))
        except Fenced as fenced:
            return JobOutcome(job_id=held.job_id, state="fenced", error=str(fenced))
        return JobOutcome(job_id=held.job_id, state="failed", model=BUILTIN_MODEL, error=error)


def _must_hit(rows: int) -> None:
    if rows == 0:
        raise Fenced(LEASE_LOST)
