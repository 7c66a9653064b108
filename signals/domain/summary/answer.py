"""The shape of an answer, and the strict parse of what a model sent.

Strict on shape: exactly the six keys of requirement R31 with their types, no prose around them.
A code fence around the JSON is refused too; the next attempt's prompt names what was wrong.
Lenient on size only: long texts and lists are cut.
"""

from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

MAX_ANSWER_CHARS: Final = 65_536  # guess: a hundred times a useful answer
MAX_TITLE_CHARS: Final = 120  # guess: one line of an incident list
MAX_TEXT_CHARS: Final = 1_000  # guess: a paragraph
MAX_ITEMS: Final = 12  # guess: people on call read no more
MAX_REASON_CHARS: Final = 200
REFUSAL: Final = "the model's answer is not the JSON that was asked for: "


class InvalidAnswer(Exception):  # noqa: N818  # a verdict, like InvalidEvent
    """The model's text is not the JSON that was asked for; another attempt may be."""

    def __init__(self, reason: str) -> None:
        super().__init__(REFUSAL + reason)
        self.reason = reason


def correction_of(last_error: str | None) -> str | None:
    """Return what to correct when a job's last error is a refused answer, else None."""
    return last_error.removeprefix(REFUSAL) if last_error and last_error.startswith(REFUSAL) else None


def tidy(text: str, longest: int) -> str:
    """Make one printable line of at most `longest` characters (PostgreSQL cannot store NUL)."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


Text = Annotated[str, AfterValidator(lambda text: tidy(text, MAX_TEXT_CHARS))]
Title = Annotated[str, AfterValidator(lambda text: tidy(text, MAX_TITLE_CHARS))]
Texts = Annotated[tuple[Text, ...], AfterValidator(lambda texts: texts[:MAX_ITEMS])]


class SummaryAnswer(BaseModel):
    """The answer of the model, or of the built-in summarizer. Source: docs/requirements.md, R31."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    title: Title
    impact: Text
    likely_causes: Texts
    evidence: Texts
    next_steps: Texts
    confidence: float = Field(ge=0, le=1, allow_inf_nan=False)


_TEXTS: Final = {"type": "array", "items": {"type": "string"}}
ANSWER_SCHEMA: Final[Mapping[str, object]] = {
    "type": "object",
    "properties": {
        "title": {"type": "string"},
        "impact": {"type": "string"},
        "likely_causes": _TEXTS,
        "evidence": _TEXTS,
        "next_steps": _TEXTS,
        "confidence": {"type": "number"},
    },
    "required": ["title", "impact", "likely_causes", "evidence", "next_steps", "confidence"],
    "additionalProperties": False,
}
"""The same shape as a strict JSON Schema: without bounds, which not every server takes."""


def parse_answer(text: str) -> SummaryAnswer:
    """Parse the model's text.

    Raises:
        InvalidAnswer: with one short reason.
    """
    if len(text) > MAX_ANSWER_CHARS:
        raise InvalidAnswer(f"it is longer than {MAX_ANSWER_CHARS} characters")
    if text.lstrip().startswith("```"):
        raise InvalidAnswer("it is wrapped in a code fence")
    try:
        return SummaryAnswer.model_validate_json(text)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in fault["loc"])
        reason = f"{where}: {fault['msg']}" if where else fault["msg"]
        raise InvalidAnswer(tidy(reason, MAX_REASON_CHARS)) from error
