"""The strict parse of what a model sent."""

import json

import pytest

from signals.domain.summary.answer import MAX_ITEMS, MAX_TITLE_CHARS, InvalidAnswer, parse_answer

GOOD = {
    "title": "Checkout fails",
    "impact": "Buyers cannot pay",
    "likely_causes": ["a deploy"],
    "evidence": ["[E1] a 503"],
    "next_steps": ["roll back"],
    "confidence": 0.5,
}


def test_the_specified_object_is_accepted() -> None:
    answer = parse_answer("\n" + json.dumps(GOOD) + "\n")
    assert answer.title == "Checkout fails"
    assert answer.evidence == ("[E1] a 503",)
    assert answer.confidence == 0.5


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Invalid JSON"),
        ("Sure! Here it is: {}", "Invalid JSON"),
        (json.dumps(GOOD) + " Hope that helps.", "Invalid JSON"),
        (f"```json\n{json.dumps(GOOD)}\n```", "code fence"),
        ("[]", "object"),
        ("null", "object"),
        (json.dumps(GOOD | {"mood": "good"}), "mood"),
        (json.dumps({k: v for k, v in GOOD.items() if k != "impact"}), "impact"),
        (json.dumps(GOOD | {"evidence": "[E1] one string"}), "evidence"),
        (json.dumps(GOOD | {"evidence": [1]}), "evidence.0"),
        (json.dumps(GOOD | {"title": None}), "title"),
        (json.dumps(GOOD | {"confidence": "0.5"}), "confidence"),
        (json.dumps(GOOD | {"confidence": 1.5}), "confidence"),
        (json.dumps(GOOD | {"confidence": float("nan")}), "confidence"),
        (json.dumps(GOOD | {"confidence": True}), "confidence"),
        (" " * 70_000, "longer"),
        ("[" * 60_000, "JSON"),
    ],
)
def test_other_answer_is_refused_with_a_reason(text: str, reason: str) -> None:
    with pytest.raises(InvalidAnswer) as refusal:
        parse_answer(text)
    assert reason in refusal.value.reason
    assert len(refusal.value.reason) <= 200


def test_long_and_unprintable_texts_become_bounded_lines() -> None:
    answer = parse_answer(
        json.dumps(GOOD | {"title": "a\x00b\n" + "x" * 500, "next_steps": [f"step {n}" for n in range(99)]})
    )
    assert answer.title.startswith("a b x")
    assert len(answer.title) == MAX_TITLE_CHARS
    assert len(answer.next_steps) == MAX_ITEMS
