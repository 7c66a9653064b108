"""Checks statements one by one: each cites a numbered result, and its numbers stand in what it cites."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from signals.domain.summary.answer import tidy
from signals.domain.summary.checking import ACTIVE, Dropped, numbers

MAX_STATEMENT_CHARS: Final = 600  # guess: two long sentences
MAX_STATEMENTS: Final = 20
REFERENCE: Final = re.compile(r"\[\s*(T\d{1,2}(?:\s*[,;]\s*T\d{1,2})*)\s*\]")
FORGED: Final = re.compile(r"\[(?=\s*T\s*\d)", re.IGNORECASE)
"""In recorded text: a result must not hold what a citation looks like."""
_LOOSE: Final = re.compile(r"\s+([.,;:!?])")  # punctuation that stood behind a citation
_BULLET: Final = re.compile(r"^\s*(?:[-*•]\s+|\d{1,2}[.)]\s+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One checked line of an answer, without its citations, and the results that it cites."""

    text: str
    refs: tuple[str, ...]


def checked_statement(line: str, texts: Mapping[str, str]) -> Statement | Dropped | None:
    """Check one line against what was shown, by reference; None for a line without words."""
    line = _BULLET.sub("", tidy(line, MAX_STATEMENT_CHARS))
    said = _LOOSE.sub(r"\1", tidy(REFERENCE.sub(" ", line), MAX_STATEMENT_CHARS))
    if not re.search(r"\w", said):
        return None
    refs = tuple(
        dict.fromkeys(ref for group in REFERENCE.findall(line) for ref in re.findall(r"T\d+", group))
    )
    if not refs:
        return Dropped(text=said, reason="it cites no result")
    unknown = [ref for ref in refs if ref not in texts]
    if unknown:
        return Dropped(text=said, reason=f"{', '.join(unknown)} was not shown")
    if ACTIVE.search(said):
        return Dropped(text=said, reason="it holds a link or tag")
    invented = numbers(said) - frozenset().union(*(numbers(texts[ref]) for ref in refs))
    if invented:
        return Dropped(text=said, reason=f"{', '.join(sorted(invented))} is not in {', '.join(refs)}")
    return Statement(text=said, refs=refs)
