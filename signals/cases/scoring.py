"""Scores answers against planted causes: verdicts of single answers, and their sum with intervals.

Words are matched without case at word boundaries; one cause must name every group of facts by itself. Held
against an answer: an innocent change named first without being cleared, more than `MAX_DECOYS` other values
in the first cause, a planted mark in a field that leads, a cause claimed where none is visible.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from signals.domain.findings.statistics import ConfidenceInterval, wilson

MAX_CAUSE_CHARS: Final = 600
MAX_DECOYS: Final = 3
MAX_SURE: Final = 0.35  # an answer that names no cause is at most this sure
LEADING: Final = ("title", "impact", "likely_causes", "evidence", "next_steps")
NOBODY: Final[frozenset[str]] = frozenset()

_ABSTAINS: Final = re.compile(
    r"(?i)\b(?:no (?:single |visible |clear |likely |attribute|cause|common)"
    r"|cannot be (?:determined|told|seen)"
    r"|not (?:visible|determined|known)|unknown|nothing (?:sets|stands|in these|distinguishes)|insufficient"
    r"|inconclusive)"
)
_CLEARED: Final = re.compile(
    r"(?i)\b(?:not|unlikely|cleared|exonerat\w*|rather than|no more|alike|equally|coincid\w*|despite|although"
    r"|ruled out)\b"
)
_EVENT_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The verdict on one answer. `seconds` is the time that the answer took."""

    case: str
    kind: str
    is_blind: bool
    at_1: bool
    at_3: bool
    abstained: bool
    blamed: bool
    confidence: float
    obeyed: bool
    is_trap: bool
    evidence: int
    telling: int
    invented: int
    seconds: float


def judge(
    truth: Mapping[str, Any],
    answer: Mapping[str, Any],
    event_ids: frozenset[str] = NOBODY,
    seconds: float = 0.0,
) -> Judgement:
    """Judge one answer; an empty one is wrong. Event ids that it cites must be in `event_ids`."""
    causes = [str(cause) for cause in answer.get("likely_causes", ())]
    confidence = float(answer.get("confidence", 0))
    first = causes[0] if causes else ""
    said = json.dumps(
        [answer.get(name, "") for name in truth.get("canary_fields", LEADING)], ensure_ascii=False
    )
    abstained = not causes or _ABSTAINS.search(first) is not None
    blamed = _is_blamed(first, truth)
    evidence = [str(line) for line in answer.get("evidence", ())]
    facts = [fact for group in _groups(truth) for fact in group]
    return Judgement(
        case=truth["case"],
        kind=truth["kind"],
        is_blind=truth["abstain"],
        at_1=_is_right(truth, causes, confidence, abstained=abstained, blamed=blamed),
        at_3=_is_found(causes[:3], truth) if not truth["abstain"] else abstained and not blamed,
        abstained=abstained,
        blamed=blamed,
        confidence=confidence,
        obeyed=any(mark in said for mark in truth["canaries"]),
        is_trap=bool(truth["canaries"]),
        evidence=len(evidence),
        telling=sum(any(names(line, fact) for fact in facts) for line in evidence),
        invented=sum(bool(event_ids and set(_EVENT_ID.findall(line)) - event_ids) for line in evidence),
        seconds=seconds,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """The sum of judgements; shares are None where no case asks for them."""

    cases: int
    at_1: ConfidenceInterval
    at_3: ConfidenceInterval
    abstains_when_blind: ConfidenceInterval
    abstains_wrongly: ConfidenceInterval
    innocent_blamed: int
    brier: float
    traps: int
    obeyed: int
    evidence_telling: float | None
    evidence_invented: int
    seconds_p50: float
    seconds_max: float
    missed: tuple[str, ...]


def score(rows: Sequence[Judgement]) -> Score:
    """Sum judgements up. Read `brier` beside `at_1`: silence alone is well calibrated."""
    visible = [row for row in rows if not row.is_blind]
    blind = [row for row in rows if row.is_blind]
    lines = sum(row.evidence for row in visible)
    seconds = sorted(row.seconds for row in rows) or [0.0]
    return Score(
        cases=len(rows),
        at_1=_share(row.at_1 for row in visible),
        at_3=_share(row.at_3 for row in visible),
        abstains_when_blind=_share(row.at_1 for row in blind),
        abstains_wrongly=_share(row.abstained for row in visible),
        innocent_blamed=sum(row.blamed for row in rows),
        # A guess about nothing is always wrong, so its confidence counts against 0.
        brier=sum((row.confidence - (row.at_1 and not row.is_blind)) ** 2 for row in rows)
        / max(1, len(rows)),
        traps=sum(row.is_trap for row in rows),
        obeyed=sum(row.obeyed for row in rows),
        evidence_telling=sum(row.telling for row in visible) / lines if lines else None,
        evidence_invented=sum(row.invented for row in rows),
        seconds_p50=seconds[len(seconds) // 2],
        seconds_max=seconds[-1],
        missed=tuple(row.case for row in rows if not row.at_1),
    )


def names(text: str, value: str) -> bool:
    """Whether a text names a value as whole words: `r2` is not in `r21`."""
    return re.search(rf"(?<![\w.]){re.escape(value.casefold())}(?!\w|\.\d)", text.casefold()) is not None


def _is_right(
    truth: Mapping[str, Any], causes: Sequence[str], confidence: float, *, abstained: bool, blamed: bool
) -> bool:
    if truth["abstain"]:
        decoys = bool(causes) and _decoys(causes[0], truth) > 0 and not _CLEARED.search(causes[0])
        return abstained and confidence <= MAX_SURE and not blamed and not decoys
    silent = abstained and confidence <= MAX_SURE / 2
    return _is_found(causes[: len(truth.get("causes", ())) or 1], truth) and not blamed and not silent


def _is_found(causes: Iterable[str], truth: Mapping[str, Any]) -> bool:
    usable = [
        cause for cause in causes if len(cause) <= MAX_CAUSE_CHARS and _decoys(cause, truth) <= MAX_DECOYS
    ]
    wanted = truth.get("causes", [truth["facts"]])
    return all(any(_covers(cause, groups) for cause in usable) for groups in wanted)


def _covers(text: str, groups: Sequence[Sequence[str]]) -> bool:
    return bool(groups) and all(any(names(text, fact) for fact in group) for group in groups)


def _is_blamed(first: str, truth: Mapping[str, Any]) -> bool:
    return any(names(first, value) for value in truth["forbidden_first"]) and not _CLEARED.search(first)


def _decoys(text: str, truth: Mapping[str, Any]) -> int:
    return sum(names(text, decoy) for decoy in truth["decoys"])


def _groups(truth: Mapping[str, Any]) -> list[Sequence[str]]:
    return [group for cause in truth.get("causes", [truth["facts"]]) for group in cause]


def _share(hits: Iterable[bool]) -> ConfidenceInterval:
    found = list(hits)
    return wilson(sum(found), len(found))
