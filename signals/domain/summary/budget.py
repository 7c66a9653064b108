"""The model's budget: tokens as an estimate, the price of a call, and what a project may spend in a day."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

MILLION: Final = 1_000_000
_WORD_CHARS: Final = (
    4  # a word of letters is a token for each so many; guess, from tokenizers of 32,000 words
)
_MARKS: Final = 2  # likewise for runs of punctuation
_PIECE: Final = re.compile(r"[A-Za-z]+|\d|[^\w\s]+|[^\x00-\x7f]|_")
_PRICE: Final = re.compile(r"\s*([^=\s]+)\s*=\s*(\d+(?:\.\d+)?)\s*/\s*(\d+(?:\.\d+)?)\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPrice:
    """The price of a million tokens, in any one currency."""

    per_million_in: float
    per_million_out: float

    def of(self, tokens_in: int, tokens_out: int) -> float:
        """Return the price of one call."""
        return (tokens_in * self.per_million_in + tokens_out * self.per_million_out) / MILLION


def parse_prices(text: str) -> dict[str, TokenPrice]:
    """Read `MODEL=IN/OUT`, several with commas: prices of a million tokens read and written.

    Raises:
        ValueError: when a part has another form.
    """
    found = {}
    for part in filter(str.strip, text.split(",")):
        match = _PRICE.fullmatch(part)
        if match is None:
            raise ValueError("write MODEL=IN/OUT, like llama3.3-70b-instruct=0.65/0.65, several with commas")
        found[match[1]] = TokenPrice(per_million_in=float(match[2]), per_million_out=float(match[3]))
    return found


def estimated_tokens(text: str) -> int:
    """Estimate the tokens of a text without its model's tokenizer; it errs on the high side for figures.

    A digit is a token, and so is each byte beyond ASCII, which is the most that a byte-level tokenizer makes.
    """
    return sum(map(_tokens, _PIECE.findall(text)))


def _tokens(piece: str) -> int:
    if piece[0] > "\x7f":
        return len(piece.encode("utf-8", "replace"))
    if piece[0].isalpha():
        return math.ceil(len(piece) / _WORD_CHARS)
    return len(piece) if not piece.isascii() else math.ceil(len(piece) / _MARKS)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelBudget:
    """Limits of what the model may cost: tokens of a project and day (0: any number), and prices by model."""

    tokens_per_day: int = 0
    prices: Mapping[str, TokenPrice]

    def is_spent(self, tokens: int) -> bool:
        """Whether a project that has used so many tokens today may ask no more."""
        return 0 < self.tokens_per_day <= tokens

    def cost(self, model: str, tokens_in: int | None, tokens_out: int | None) -> float | None:
        """Return the price of a call; None without a price, or without counts."""
        price = self.prices.get(model)
        if price is None or tokens_in is None or tokens_out is None:
            return None
        return price.of(tokens_in, tokens_out)

    @property
    def spent_note(self) -> str:
        """The reason why nothing was asked."""
        return (
            f"The project has used its {self.tokens_per_day:,} tokens of this day (UTC), "
            "which SIGNALS_AI_TOKENS_PER_DAY sets: the model was not asked."
        )
