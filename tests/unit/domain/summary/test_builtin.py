"""The built-in summarizer: useful, and provable by its own exhibits."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signals.domain.findings.causes import NOT_VISIBLE
from signals.domain.summary.brief import Brief
from signals.domain.summary.builtin import NOT_COMPARED, answer_from
from signals.domain.summary.checking import check
from signals.domain.summary.exhibits import exhibits
from signals.domain.summary.wording import in_words
from tests.unit.domain.summary.briefs import DROP, SPIKE, deploy, event


def test_error_spike_is_described_with_its_numbers() -> None:
    answer = answer_from(SPIKE, exhibits(SPIKE))
    assert answer.title == "UPSTREAM_TIMEOUT on /checkout in prod: 1240 errors in 5 min, normal is 2"
    assert "620 times normal" in answer.impact
    assert "since 2026-03-04T12:05:07Z" in answer.impact
    assert "Release 2026.3.4.1 was deployed 4 minutes before it opened: only their order" in answer.impact
    assert any("deployed 4 minutes before" in claim for claim in answer.evidence)
    assert any("status_code: 503 in 15, 504 in 5 of 20" in claim for claim in answer.evidence)
    assert any('error_code:"UPSTREAM_TIMEOUT"' in step for step in answer.next_steps)


def test_signup_drop_without_events_is_described_by_its_figures() -> None:
    answer = answer_from(DROP, exhibits(DROP))
    assert answer.title == "Signups dropped in prod: 0 signups in 15 min, normal is 80.2"
    assert any("check that its event arrives" in step for step in answer.next_steps)


@pytest.mark.parametrize("made", [SPIKE, DROP], ids=["spike", "drop"])
def test_nothing_is_blamed_before_a_comparison(made: Brief) -> None:
    brief = replace(made, deploys=(deploy("r7", minutes_before=2),))
    answer = answer_from(brief, exhibits(brief))
    assert (answer.likely_causes, answer.confidence) == ((), NOT_VISIBLE)
    assert NOT_COMPARED in answer.impact
    said = " ".join([answer.title, answer.impact, *answer.next_steps]).lower()
    assert not [word for word in ("suspect", "roll", "cause of", "dependency") if word in said]


def test_late_or_old_deploy_is_not_told() -> None:
    brief = replace(SPIKE, deploys=(deploy("later", minutes_before=-3), deploy("old", minutes_before=300)))
    answer = answer_from(brief, exhibits(brief))
    assert "deployed" not in " ".join([answer.impact, *answer.next_steps])


def test_an_incident_without_numbers_still_gets_a_summary() -> None:
    bare = replace(SPIKE, evaluations=(), events=(), deploys=())
    assert answer_from(bare, exhibits(bare)).title == "UPSTREAM_TIMEOUT on /checkout in prod"


VALUES = st.one_of(st.text(max_size=300), st.integers(), st.floats(), st.none(), st.lists(st.integers()))
ATTRIBUTES = st.dictionaries(
    st.sampled_from(["route", "release", "status_code", "error_code", "E1", "[E7]"]), VALUES
)


@settings(derandomize=True, deadline=None)
@given(attributes=st.lists(ATTRIBUTES, max_size=5), release=st.text(max_size=200))
def test_every_builtin_claim_holds_against_its_own_exhibits(
    attributes: list[dict[str, object]], release: str
) -> None:
    brief = replace(
        SPIKE,
        events=tuple(replace(event(n), attributes=found) for n, found in enumerate(attributes)),
        deploys=(deploy(release, minutes_before=1.5),),
    )
    shown = exhibits(brief)
    answer = answer_from(brief, shown)
    summary = check(answer, shown, fallback=answer)
    assert summary.verification.dropped == ()
    assert summary.verification.verified == len(answer.evidence)
    assert summary.confidence == answer.confidence
    assert (summary.title, summary.impact) == (answer.title, answer.impact)


def test_the_normal_is_the_one_of_the_opening() -> None:
    polluted = replace(SPIKE.evaluations[1], baseline=600.0, threshold=1800.0)
    brief = replace(SPIKE, evaluations=(SPIKE.evaluations[0], polluted))
    answer = answer_from(brief, exhibits(brief))
    assert answer.title.endswith("1240 errors in 5 min, normal is 2")
    assert not any("600" in exhibit.text for exhibit in exhibits(brief).values())


def test_a_new_incident_has_no_normal() -> None:
    brief = replace(SPIKE, incident=replace(SPIKE.incident, kind="new"))
    answer = answer_from(brief, exhibits(brief))
    assert answer.title.endswith("1240 errors in 5 min, no history to compare with")
    assert "normal of" not in answer.impact
    assert "times normal" not in answer.impact
    assert not any("normal is 2" in exhibit.text for exhibit in exhibits(brief).values())


@pytest.mark.parametrize("made", [SPIKE, DROP], ids=["spike", "drop"])
def test_steps_are_for_a_person_and_hold_no_calls_of_the_api(made: Brief) -> None:
    steps = answer_from(made, exhibits(made)).next_steps
    assert steps
    assert not [step for step in steps if "/v1/" in step or "GET " in step or "PATCH " in step]


def test_stamps_are_written_to_the_minute() -> None:
    text = "since 2026-11-29T18:38:47Z, last seen 2026-11-29T18:38Z; 2026-11-29 stays"
    assert in_words(text) == "since 2026-11-29 18:38 UTC, last seen 2026-11-29 18:38 UTC; 2026-11-29 stays"
