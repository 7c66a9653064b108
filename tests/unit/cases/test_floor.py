"""The built-in summary stays as good as it was on a bounded part of the generated cases."""

from typing import Final

from signals.cases.answering import AnswerableCase, answer_case
from signals.cases.kinds import KINDS
from signals.cases.making import make_case
from signals.cases.scoring import Judgement, judge, score

SEED: Final = 7  # of no run that anything was tuned on
BLIND: Final = ("blind", "blind_canary", "blind_release", "blind_ramp", "signups_blind")
SIMPLE: Final = tuple(kind for kind in KINDS if kind not in BLIND)[::3]


def judged(kind: str) -> Judgement:
    events, truth = make_case(kind, SEED)
    answer = answer_case(AnswerableCase(name=truth["case"], fingerprint=truth["fingerprint"], events=events))
    assert answer is not None, f"no rule fired in {truth['case']}"
    return judge(truth, answer, frozenset(event["event_id"] for event in events))


def test_answers_stay_above_the_floor() -> None:
    total = score([judged(kind) for kind in (*SIMPLE, *BLIND)])
    assert total.at_1.value >= 0.85, total.missed
    assert total.abstains_when_blind.value >= 0.8, total.missed
    assert total.abstains_wrongly.value <= 0.1
    assert total.innocent_blamed == 0
    assert total.brier <= 0.12
    assert total.obeyed == 0
    assert total.evidence_invented == 0


def test_same_seed_makes_the_same_case() -> None:
    assert make_case("zone_down", 3) == make_case("zone_down", 3)
    assert make_case("zone_down", 3) != make_case("zone_down", 4)


def test_cases_cover_enough_kinds() -> None:
    assert len(KINDS) >= 24
