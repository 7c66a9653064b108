"""The model's budget: estimates of tokens, prices, and when a day is spent."""

import pytest

from signals.domain.summary.budget import ModelBudget, TokenPrice, estimated_tokens, parse_prices


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("", 0, 0),
        ("checkout", 2, 2),
        ("2026-11-29T15:00:00Z", 14, 22),
        ("The upstream did not answer within 3000 ms.", 9, 20),
        ("\U0001f600" * 10, 20, 40),
        ("\u8bf7\u6c42\u5931\u8d25", 4, 12),
    ],
    ids=["empty", "word", "instant", "sentence", "emoji", "chinese"],
)
def test_estimate_lies_on_the_high_side(text: str, least: int, most: int) -> None:
    assert least <= estimated_tokens(text) <= most


def test_prices_are_read_by_model() -> None:
    prices = parse_prices("a/b-70b = 0.65/0.9, c=1/2 ,")
    assert prices["a/b-70b"] == TokenPrice(per_million_in=0.65, per_million_out=0.9)
    assert prices["c"].of(1_000_000, 500_000) == 2


@pytest.mark.parametrize("text", ["a", "a=1", "a=1/x", "=1/2", "a=-1/2"])
def test_odd_price_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(ValueError, match="write MODEL=IN/OUT"):
        parse_prices(text)


def test_budget_of_zero_is_never_spent() -> None:
    assert not ModelBudget(prices={}).is_spent(10**12)
    assert ModelBudget(tokens_per_day=10, prices={}).is_spent(10)
    assert not ModelBudget(tokens_per_day=10, prices={}).is_spent(9)
