"""Medians of rounds, and verdicts on targets. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final, Literal

from benchmarks.rounds import Contender, Role, Round, Target

Verdict = Literal["met", "missed", "not applicable", "no figure"]
UNMET: Final = ("missed", "no figure")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One contender's rounds, in the order in which they were taken."""

    name: str
    role: Role
    note: str
    rounds: tuple[Mapping[str, float], ...]

    def median(self, figure: str) -> float | None:
        """Return the middle of a figure, None when a round lacks it."""
        values = self.values(figure)
        return median(values) if values else None

    def values(self, figure: str) -> list[float]:
        """Return a figure of each round; none at all when a round lacks it."""
        if not all(figure in figures for figures in self.rounds):
            return []
        return [figures[figure] for figures in self.rounds]


def measured(contender: Contender, rounds: Sequence[Round]) -> Measured:
    """Return a contender's figures."""
    figures = tuple(one.figures() for one in rounds)
    return Measured(name=contender.name, role=contender.role, note=contender.note, rounds=figures)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A target and its measured value; `against` names the divisor."""

    sentence: str
    figure: str
    value: float | None
    against: str
    bound: float
    verdict: Verdict


def judge(target: Target, contenders: Sequence[Measured]) -> Judgement:
    """Compare the product's figure with the target, as the median over rounds of the paired ratio."""
    bound = target.at_least if target.at_least is not None else target.at_most
    assert bound is not None
    ours = _find(contenders, target.ours or "ours")
    other = _other(target, contenders) if target.of else None
    value, against = _value(target, bound, ours, other), other.name if other else ""
    if target.plus:
        bound, against = 1.0, f"what {against} allows"
    verdict: Verdict
    if _is_out_of_scope(target, contenders):
        verdict = "not applicable"
    elif value is None:
        verdict = "no figure"
    else:
        verdict = "met" if (value >= bound if target.at_least is not None else value <= bound) else "missed"
    return Judgement(
        sentence=target.sentence,
        figure=target.figure,
        value=value,
        against=against,
        bound=bound,
        verdict=verdict,
    )


def _value(target: Target, bound: float, ours: Measured | None, other: Measured | None) -> float | None:
    values = ours.values(target.figure) if ours else []
    if not target.of:
        return median(values) if values else None
    theirs = other.values(target.figure) if other else []
    if not values or len(values) != len(theirs) or 0 in theirs:
        return None
    if target.plus:
        theirs = [bound * one + target.plus for one in theirs]
    return median(mine / their for mine, their in zip(values, theirs, strict=True))


def _find(contenders: Sequence[Measured], name: str) -> Measured | None:
    """Return the contender of that name, else the first of that role."""
    named = [one for one in contenders if one.name == name] or [one for one in contenders if one.role == name]
    return named[0] if named else None


def _other(target: Target, contenders: Sequence[Measured]) -> Measured | None:
    if target.of != "best peer":
        return _find(contenders, target.of or "")
    peers = [one for one in contenders if one.role == "peer" and one.median(target.figure) is not None]
    better = max if target.at_least is not None else min
    return better(peers, key=lambda one: one.median(target.figure) or 0.0) if peers else None


def _is_out_of_scope(target: Target, contenders: Sequence[Measured]) -> bool:
    if target.unless_below is None:
        return False
    figure, floor = target.unless_below
    limit = _find(contenders, "limit")
    reached = limit.median(figure) if limit else None
    return reached is None or reached < floor
