"""Cases of one's own: the truth that feedback gives, and events without their tenant."""

import pytest

from signals.cases.answering import AnswerableCase, answer_case
from signals.cases.making import make_case
from signals.cases.own import case_events, case_truth
from signals.cases.scoring import judge
from signals.domain.summary.feedback import LabelledCause, labelled_cause

LABELS = ("region=fra1", "tier=pro")


@pytest.mark.parametrize(
    ("useful", "is_visible", "facts", "found"),
    [
        (True, True, (), ("fra1", "pro")),
        (True, True, ("pool-7",), ("pool-7",)),
        (False, True, ("pool-7",), ("pool-7",)),
        (False, True, (), None),
        (False, False, (), ()),
    ],
    ids=["confirmed", "confirmed-in-words", "named", "unknown", "not-visible"],
)
def test_feedback_gives_the_facts(
    useful: bool, is_visible: bool, facts: tuple[str, ...], found: tuple[str, ...] | None
) -> None:
    cause = labelled_cause(useful=useful, is_visible=is_visible, facts=facts, labels=LABELS)
    assert (cause and cause.facts) == found


def test_exported_case_is_answered_and_judged_like_any_other() -> None:
    events, truth = make_case("zone_down", 7)
    tenant = {"org_id": "org_1", "project_id": "proj_1", "schema_version": "1.0"}
    kept = case_events(event | tenant for event in reversed(events))
    assert not any(tenant.keys() & event.keys() for event in kept)
    cause = LabelledCause(facts=tuple(group[0] for group in truth["facts"]), is_visible=True)
    own = case_truth("own-1", fingerprint=truth["fingerprint"], cause=cause, events=kept)
    answer = answer_case(AnswerableCase(name="own-1", fingerprint=own["fingerprint"], events=kept))
    assert answer is not None
    assert judge(own, answer).at_1
    assert cause.facts[0] not in own["decoys"]
    assert len(own["decoys"]) > 10
