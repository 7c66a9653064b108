"""Asks the model for a summary once, and sorts what went wrong by what helps against it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from signals.clients.llm import Model, ModelRefused, ModelUnavailable
from signals.domain.operations.retry import JobFailure
from signals.domain.summary.answer import InvalidAnswer, SummaryAnswer, parse_answer
from signals.domain.summary.checking import CheckedSummary, ModelRun
from signals.domain.summary.prompt import PROMPT_VERSION, build_prompt
from signals.services.summary.case import SummaryCase
from signals.services.summary.spending import Spending


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAnswer:
    """A readable answer, the name of the model that gave it, what it took, and what it then searched for."""

    answer: SummaryAnswer
    model: str
    run: ModelRun
    investigation: Mapping[str, object] | None = None

    def of(self, case: SummaryCase) -> CheckedSummary:
        """Return the summary of the case: the answer, checked."""
        return replace(case.summary(self.answer, self.run), investigation=self.investigation)


def ask_model(
    model: Model, case: SummaryCase, correction: str | None, spending: Spending
) -> ModelAnswer | JobFailure:
    """Ask once. What it took is counted, also for an answer that cannot be read.

    Raises:
        DependencyUnavailable: when PostgreSQL does not answer.
    """
    began = time.monotonic()
    try:
        said = model.complete(build_prompt(case.brief, case.shown, correction))
        run = ModelRun(
            prompt=PROMPT_VERSION,
            seconds=round(time.monotonic() - began, 3),
            tokens_in=said.tokens_in,
            tokens_out=said.tokens_out,
            cost=spending.count(case.known.incident.project_id, said),
        )
        return ModelAnswer(answer=parse_answer(said.text), model=said.model, run=run)
    except InvalidAnswer as error:
        return JobFailure(reason=str(error))
    except ModelUnavailable as error:
        return JobFailure(reason=str(error), retry_after=error.retry_after)
    except ModelRefused as error:
        return JobFailure(reason=str(error), permanent=True)
