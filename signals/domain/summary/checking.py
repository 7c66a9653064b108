"""Holds an answer against the exhibits: what is cited must exist, what is counted must agree.

It checks references, numbers and links, not words: a claim without numbers that cites a real event passes.
A link or a tag stands only where the facts have it: a model that obeys an event's text must not lead anybody
to an address of the sender's choice.
Source: docs/concepts/summaries.md, "How an answer is checked".
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Final

from signals.domain.events.secrets import PLACEHOLDER
from signals.domain.summary.answer import MAX_TEXT_CHARS, SummaryAnswer, tidy
from signals.domain.summary.exhibits import Exhibit

CITATION: Final = re.compile(r"\[\s*([EF]\d{1,6}(?:\s*[,;]\s*[EF]\d{1,6})*)\s*\]")
NUMBER: Final = re.compile(rf"{PLACEHOLDER.pattern}|\d+(?:[.,]\d+)*")
ACTIVE: Final = re.compile(
    r"(?i)(?:[a-z][a-z0-9+.-]{1,15}:)?//[^\s\])\"'<>]+|\b(?:www\.|(?:javascript|data|vbscript|mailto):)[^\s\])\"'<>]+"
    r"|</?[a-z!][^>]{0,80}>?"
)
"""What a page could make a link or a tag of."""
THOUSANDS: Final = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """A statement that was removed or replaced, and why."""

    text: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The result of the check. `figures` spells out the cited figures; `note` says who answered instead.

    `figure_keys` has the keys of those among them that a page shows in a place of its own.
    """

    claimed: int
    verified: int
    dropped: tuple[Dropped, ...]
    event_ids: tuple[str, ...]
    figures: Mapping[str, str]
    figure_keys: Mapping[str, str]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRun:
    """The cost of one answer; `prompt` is the version of the prompt. None: the server does not say.

    `cost` is in the currency of the price that is set; None without one.
    """

    prompt: str
    seconds: float
    tokens_in: int | None
    tokens_out: int | None
    cost: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedSummary:
    """A checked answer, ready to be stored: the six keys of requirement R31, and what it rests on."""

    title: str
    impact: str
    likely_causes: tuple[str, ...]
    evidence: tuple[str, ...]
    next_steps: tuple[str, ...]
    confidence: float
    verification: Verification
    findings: Mapping[str, object] | None = None
    surroundings: Mapping[str, object] | None = None
    run: ModelRun | None = None
    investigation: Mapping[str, object] | None = None

    def to_json(self) -> dict[str, object]:
        """Return the value of `ai_outputs.content_json`; without what is unknown."""
        found = asdict(self)
        return {name: value for name, value in found.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounds:
    """The ground of an answer: the exhibits of the causes that a comparison found, best first.

    When none is visible the only exhibit says that. No answer is surer than the comparison.
    """

    causes: Mapping[str, str]
    confidence: float


@dataclass(slots=True)
class _Outcome:
    """Collects the outcome of one check."""

    evidence: list[str] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    cited: dict[str, Exhibit] = field(default_factory=dict)
    verified: int = 0

    def drop(self, text: str, reason: str) -> None:
        self.dropped.append(Dropped(text=tidy(text, MAX_TEXT_CHARS), reason=reason))

    def verification(self, claimed: int, note: str) -> Verification:
        return Verification(
            claimed=claimed,
            verified=self.verified,
            dropped=tuple(self.dropped),
            event_ids=tuple(str(x.event_id) for x in self.cited.values() if x.event_id is not None),
            figures={x.ref: x.text for x in self.cited.values() if x.event_id is None},
            figure_keys={x.ref: x.key for x in self.cited.values() if x.key},
            note=note,
        )


def check(
    answer: SummaryAnswer,
    shown: Mapping[str, Exhibit],
    *,
    fallback: SummaryAnswer,
    note: str = "",
    grounds: Grounds | None = None,
) -> CheckedSummary:
    """Check every statement; what does not hold is dropped, or replaced by the exhibit or by `fallback`.

    Confidence is capped by the verified share of the evidence; without evidence it is 0. With `grounds` the
    first cause must cite one of them, and confidence is capped by theirs.
    """
    outcome = _Outcome()
    for claim in answer.evidence:
        _check_claim(claim, shown, outcome)
    known = _numbers_of(shown.values())
    own = _active([fallback.title, fallback.impact, *fallback.likely_causes, *fallback.next_steps])

    def stands(text: str) -> bool:
        return _leads_nowhere(text, own, outcome) and _holds(text, known, outcome)

    causes = tuple(cause for cause in answer.likely_causes if stands(cause))
    if grounds is not None:
        causes = _grounded(causes, grounds, shown, outcome)
    title = answer.title if stands(answer.title) else fallback.title
    impact = answer.impact if stands(answer.impact) else fallback.impact
    steps = tuple(step for step in answer.next_steps if _leads_nowhere(step, own, outcome))
    claimed = len(answer.evidence)
    return CheckedSummary(
        title=title,
        impact=impact,
        likely_causes=causes,
        evidence=tuple(outcome.evidence),
        next_steps=steps,
        confidence=min(
            answer.confidence,
            outcome.verified / claimed if claimed else 0.0,
            1.0 if grounds is None else grounds.confidence,
        ),
        verification=outcome.verification(claimed, note),
    )


def _grounded(
    causes: tuple[str, ...], grounds: Grounds, shown: Mapping[str, Exhibit], outcome: _Outcome
) -> tuple[str, ...]:
    """Put the comparison's own cause first when the answer's first one cites none of them."""
    cited = [ref for ref in _refs(causes[0]) if ref in grounds.causes] if causes else []
    if not cited:
        if causes:
            outcome.drop(causes[0], "the first cause cites no finding of the comparison")
        cited = list(grounds.causes)[:1]
        causes = (*(f"[{ref}] {grounds.causes[ref]}" for ref in cited), *causes[1:])
    outcome.cited.update((ref, shown[ref]) for ref in cited if ref in shown)
    return causes


def _refs(text: str) -> list[str]:
    found = (ref for group in CITATION.findall(text) for ref in re.findall(r"[EF]\d+", group))
    return list(dict.fromkeys(found))


def numbers(text: str) -> frozenset[str]:
    """Return the numbers in a text in one spelling: `1,200`, `1200.0` and `01200` are the same.

    Versions like 2025.12.27.1 count as one. A placeholder like `[email-1]` is a number of its own kind.
    """
    return frozenset(
        _spelling(piece)
        for token in NUMBER.findall(text)
        for piece in ([token.replace(",", "")] if THOUSANDS.fullmatch(token) else token.split(","))
    )


def _spelling(token: str) -> str:
    if token.startswith("["):
        return token
    digits = "".join(c if c == "." else str(unicodedata.decimal(c)) for c in token)
    if digits.count(".") > 1:
        return digits
    whole, _, fraction = digits.partition(".")
    fraction = fraction.rstrip("0")
    return (whole.lstrip("0") or "0") + (f".{fraction}" if fraction else "")


def _numbers_of(shown: Iterable[Exhibit]) -> frozenset[str]:
    return frozenset().union(*(numbers(exhibit.text) for exhibit in shown))


def _check_claim(claim: str, shown: Mapping[str, Exhibit], outcome: _Outcome) -> None:
    refs = _refs(claim)
    cited = [shown[ref] for ref in refs if ref in shown]
    unknown = ", ".join(ref for ref in refs if ref not in shown)
    if unknown or not refs:
        outcome.drop(claim, f"{unknown} was not shown" if unknown else "it cites nothing")
    if not cited:
        return
    text = tidy(CITATION.sub(" ", claim), MAX_TEXT_CHARS)
    invented = numbers(text) - _numbers_of(cited)
    foreign = _active([text]) - _active(exhibit.text for exhibit in cited)
    if foreign:
        outcome.drop(claim, "it holds a link or tag that is not in what it cites")
    elif invented:
        outcome.drop(claim, f"{', '.join(sorted(invented))} is not in {', '.join(x.ref for x in cited)}")
    elif not unknown:
        outcome.verified += 1
    if foreign or invented or not text:
        text = "; ".join(exhibit.text for exhibit in cited)
    label = ", ".join(f"{x.ref} {x.event_id}" if x.event_id else x.ref for x in cited)
    outcome.evidence.append(tidy(f"[{label}] {text}", MAX_TEXT_CHARS))
    outcome.cited.update((exhibit.ref, exhibit) for exhibit in cited)


def _active(texts: Iterable[str]) -> frozenset[str]:
    return frozenset(found for text in texts for found in ACTIVE.findall(text))


def _leads_nowhere(text: str, own: frozenset[str], outcome: _Outcome) -> bool:
    """Say whether it holds no link or tag but those of the built-in answer."""
    if _active([text]) <= own:
        return True
    outcome.drop(text, "it holds a link or tag")
    return False


def _holds(text: str, known: frozenset[str], outcome: _Outcome) -> bool:
    """Say whether every number outside citations occurs in some exhibit."""
    invented = numbers(CITATION.sub(" ", text)) - known
    if invented:
        outcome.drop(text, f"{', '.join(sorted(invented))} is in no exhibit")
    return not invented
