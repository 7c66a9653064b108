"""An answer against the exhibits: references must exist, numbers must agree, confidence follows."""

import pytest

from signals.domain.summary.answer import SummaryAnswer
from signals.domain.summary.builtin import answer_from
from signals.domain.summary.checking import CheckedSummary, check, numbers
from signals.domain.summary.exhibits import exhibits
from tests.unit.domain.summary.briefs import SPIKE

SHOWN = exhibits(SPIKE)
BUILTIN = answer_from(SPIKE, SHOWN)
LATEST = next(x for x in SHOWN.values() if x.text.startswith("1240 errors"))


def checked(*evidence: str, title: str = "Checkout fails", confidence: float = 0.9) -> CheckedSummary:
    """Check an answer with this evidence."""
    answer = SummaryAnswer(
        title=title,
        impact="Buyers cannot pay.",
        likely_causes=("A dependency is slow.",),
        evidence=evidence,
        next_steps=("Wait 15 minutes.",),
        confidence=confidence,
    )
    return check(answer, SHOWN, fallback=BUILTIN)


def test_proven_claims_keep_their_words_and_gain_the_event_id() -> None:
    summary = checked("[E1] /checkout answered 504", f"[{LATEST.ref}] 1,240 errors against a normal of 2.00")
    event_id = str(SPIKE.events[0].event_id)
    assert summary.evidence == (
        f"[E1 {event_id}] /checkout answered 504",
        f"[{LATEST.ref}] 1,240 errors against a normal of 2.00",
    )
    assert summary.verification.event_ids == (event_id,)
    assert summary.verification.figures == {LATEST.ref: LATEST.text}
    assert summary.verification.figure_keys == {LATEST.ref: LATEST.key}
    assert (summary.verification.claimed, summary.verification.verified) == (2, 2)
    assert summary.confidence == 0.9
    assert summary.verification.dropped == ()


def test_invented_references_are_dropped_and_cap_the_confidence() -> None:
    summary = checked("[E1] a 504", "[E99] the database is on fire", "no reference at all")
    assert len(summary.evidence) == 1
    assert summary.confidence == pytest.approx(1 / 3)
    assert [d.reason for d in summary.verification.dropped] == ["E99 was not shown", "it cites nothing"]


def test_a_claim_with_a_partly_invented_citation_survives_unverified() -> None:
    summary = checked("[E1, E99] a 504")
    assert summary.evidence == (f"[E1 {SPIKE.events[0].event_id}] a 504",)
    assert summary.confidence == 0.0


@pytest.mark.parametrize(
    "claim", [f"[{LATEST.ref}] 5000 errors", f"{LATEST.ref} [{LATEST.ref}] ٥٠٠٠ errors", "[E1] a 500"]
)
def test_wrong_numbers_are_replaced_by_the_cited_exhibit(claim: str) -> None:
    summary = checked(claim)
    cited = SHOWN["E1"] if "E1" in claim else LATEST
    assert summary.evidence[0].endswith(cited.text)
    assert summary.verification.verified == 0
    assert summary.confidence == 0.0
    assert len(summary.verification.dropped) == 1


def test_a_title_with_invented_numbers_is_replaced_by_the_builtin_title() -> None:
    assert checked("[E1] a 504", title="9999 orders lost").title == BUILTIN.title
    assert checked("[E1] a 504", title="1240 errors on checkout").title == "1240 errors on checkout"


def test_without_evidence_there_is_no_confidence() -> None:
    assert checked().confidence == 0.0


def test_advice_may_contain_its_own_numbers() -> None:
    assert checked("[E1] a 504").next_steps == ("Wait 15 minutes.",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,200 and 1200.0 and 01200", {"1200"}),
        ("release 2025.12.27.1, status 503.", {"2025.12.27.1", "503"}),
        ("1,2", {"1", "2"}),
        ("2026-03-04T12:05:00Z", {"2026", "3", "4", "12", "5", "0"}),
        ("0.50 of 0", {"0.5", "0"}),
        ("no digits", set()),
    ],
)
def test_numbers_are_compared_in_one_spelling(text: str, expected: set[str]) -> None:
    assert numbers(text) == expected


def test_stored_json_has_the_six_keys_and_the_verification() -> None:
    stored = checked("[E1] a 504").to_json()
    assert list(stored) == [
        "title",
        "impact",
        "likely_causes",
        "evidence",
        "next_steps",
        "confidence",
        "verification",
    ]
