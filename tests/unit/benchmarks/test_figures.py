"""Verdicts: paired ratios, medians, and targets out of scope."""

import pytest

from benchmarks.figures import Measured, judge, measured
from benchmarks.rounds import Role, Target
from tests.unit.benchmarks.rows import contender


def _taken(name: str, role: Role, rates: list[float]) -> Measured:
    one = contender(name, role, rates)
    return measured(one, [one.run() for _ in rates])


LIMIT = _taken("limit", "limit", [100.0, 400.0, 200.0])
OURS = _taken("product", "ours", [60.0, 200.0, 90.0])
SLOW = _taken("slow peer", "peer", [10.0, 10.0, 10.0])
QUICK = _taken("quick peer", "peer", [30.0, 20.0, 30.0])
ALL = [LIMIT, OURS, SLOW, QUICK]


def test_ratio_is_taken_in_each_round_before_the_median() -> None:
    found = judge(Target(sentence="half", figure="rate", at_least=0.5, of="limit"), ALL)
    assert found.value == pytest.approx(0.5)  # of 0.6, 0.5 and 0.45; medians alone would give 0.45
    assert found.verdict == "met"
    assert found.against == "limit"


def test_best_peer_is_the_highest_where_more_is_better() -> None:
    found = judge(Target(sentence="twice", figure="rate", at_least=2, of="best peer"), ALL)
    assert found.against == "quick peer"
    assert found.value == pytest.approx(3.0)


def test_best_peer_is_the_lowest_where_less_is_better() -> None:
    found = judge(Target(sentence="less", figure="wall_s", at_most=1, of="best peer"), ALL)
    assert found.against == "quick peer"


def test_absolute_target_compares_the_median() -> None:
    assert judge(Target(sentence="91", figure="rate", at_least=91), ALL).verdict == "missed"
    assert judge(Target(sentence="90", figure="rate", at_least=90), ALL).verdict == "met"


def test_allowance_widens_the_bound() -> None:
    target = Target(sentence="limit + 5 ms", figure="p99_ms", at_most=1.0, of="limit", plus=5.0)
    found = judge(target, ALL)  # 5 ms both
    assert (found.value, found.bound, found.against) == (0.5, 1.0, "what limit allows")


def test_target_is_out_of_scope_below_the_minimum_limit() -> None:
    target = Target(sentence="quick machines only", figure="rate", at_least=1e9, unless_below=("rate", 1000))
    assert judge(target, ALL).verdict == "not applicable"


@pytest.mark.parametrize("of", ["limit", "best peer", None])
def test_missing_figure_does_not_pass(of: str | None) -> None:
    target = Target(sentence="x", figure="rate" if of else "absent", at_least=0.0, of=of)
    assert judge(target, [OURS]).verdict == "no figure"


def test_allowance_needs_an_upper_bound() -> None:
    with pytest.raises(ValueError, match="plus goes with"):
        Target(sentence="x", figure="rate", at_least=1.0, of="limit", plus=1.0)


def test_target_needs_one_bound() -> None:
    with pytest.raises(ValueError, match="at_least or at_most"):
        Target(sentence="x", figure="rate")
