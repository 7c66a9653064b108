"""Feedback on summaries: was it useful, and which cause was it really."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from signals.domain.findings.labels import split
from signals.domain.findings.statistics import ConfidenceInterval, wilson
from signals.domain.summary.answer import tidy

MAX_CAUSE_CHARS: Final = 500  # guess: two sentences
MAX_FACTS: Final = 8  # guess: a cause of more parts is several causes
MAX_FACT_CHARS: Final = 128  # the longest label


def _tidied(text: str) -> str:
    found = tidy(text, MAX_CAUSE_CHARS)
    if not found:
        raise ValueError("must hold printable text")
    return found


Fact = Annotated[str, Field(min_length=2, max_length=MAX_FACT_CHARS), AfterValidator(_tidied)]
CauseText = Annotated[str, Field(min_length=1, max_length=MAX_CAUSE_CHARS), AfterValidator(_tidied)]


class SummaryFeedback(BaseModel):
    """An answer to "was this summary useful?"; `version` is the summary's, the newest when left out."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    useful: bool
    version: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    cause: Annotated[CauseText | None, Field(description="what it really was, in your words")] = None
    facts: Annotated[
        tuple[Fact, ...],
        Field(max_length=MAX_FACTS, description="words that a right cause names, like a release or a region"),
    ] = ()
    is_visible: Annotated[bool, Field(description="false when no event shows the cause")] = True


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerCount:
    """How many answers one kind of summary got, and how many call it useful.

    `rule` opened the incident; `prompt` is the version of the prompt, None for the built-in summarizer.
    """

    rule: str | None
    model: str
    prompt: str | None
    answers: int
    useful: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryPrecision:
    """The share of useful summaries of one kind, with its 95 % interval."""

    rule: str | None
    model: str
    prompt: str | None
    answers: int
    useful: int
    precision: ConfidenceInterval


def precision_of(counts: Iterable[AnswerCount]) -> list[SummaryPrecision]:
    """Return the precision of each kind of summary."""
    return [
        SummaryPrecision(
            rule=count.rule,
            model=count.model,
            prompt=count.prompt,
            answers=count.answers,
            useful=count.useful,
            precision=wilson(count.useful, count.answers),
        )
        for count in counts
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledCause:
    """The true cause in words that an answer can be scored by; no words when no event shows it."""

    facts: tuple[str, ...]
    is_visible: bool


def labelled_cause(
    *, useful: bool, is_visible: bool, facts: Sequence[str], labels: Sequence[str]
) -> LabelledCause | None:
    """Return the cause that feedback confirms or names; None when it does neither.

    `labels` are those of the summary's first cause: to call the summary useful confirms them.
    """
    if not is_visible:
        return LabelledCause(facts=(), is_visible=False)
    confirmed = tuple(split(label)[1] for label in labels) if useful else ()
    said = tuple(facts) or tuple(value for value in confirmed if value)
    return LabelledCause(facts=said, is_visible=True) if said else None
