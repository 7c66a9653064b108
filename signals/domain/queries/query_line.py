"""Splits one line that a person writes into the words and the filters of a search.

`declined -card route:"/cart" status_code:>=500`: pairs are `filters`, all else is words, `q`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from signals.domain.queries.parameters import InvalidQuery
from signals.domain.queries.search import FIELDS, PAIR, filter_name, written_filter

_PHRASE: Final = re.compile(r'[-+|(]*"(?:[^"\\]|\\.)*"\S*|\S+')
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_BLANK: Final = re.compile(r"[\s,]*")
_PLAIN_KEY: Final = re.compile(r"-?[a-z_.]+")
"""A key as filters are called. A word of code, like `TypeError:x`, has capitals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchLine:
    """The words of a line, and its pairs as they were written."""

    words: str
    pairs: tuple[str, ...]

    def narrowed(self, key: str, value: str | int, *, excludes: bool = False) -> str:
        """Return the line with one more pair; it takes the place of its opposite."""
        wanted = written_filter(key, value, excludes=excludes)
        kept = [pair for pair in self.pairs if _meant(pair) != _meant(wanted)]
        return " ".join([*([self.words] if self.words else []), *kept, wanted])


def _meant(pair: str) -> tuple[str, str]:
    """Return the name and the value of a pair, without its sign and its quotes."""
    match = PAIR.match(pair)
    assert match is not None, "the pair was read before, or just written"
    quoted = match["quoted"]
    value = _ESCAPE.sub(r"\1", quoted) if quoted is not None else match["range"] or match["bare"]
    return filter_name(match["key"].removeprefix("-")), value


def split_line(text: str) -> SearchLine:
    """Read a line.

    Raises:
        InvalidQuery: for a pair whose key looks like a filter and is none.
    """
    words: list[str] = []
    pairs: list[str] = []
    for token, is_pair in _tokens(text):
        (pairs if is_pair else words).append(token)
    return SearchLine(words=" ".join(words), pairs=tuple(pairs))


def _tokens(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the parts of a line, and whether each is a filter."""
    at = _end(_BLANK.match(text))
    while at < len(text):
        pair = PAIR.match(text, at)
        is_pair = pair is not None and _is_filter(pair)
        found = pair if pair is not None and is_pair else _PHRASE.match(text, at)
        assert found is not None, "something follows the blanks"
        yield found[0], is_pair
        at = _end(_BLANK.match(text, found.end()))


def _is_filter(pair: re.Match[str]) -> bool:
    key = pair["key"]
    if filter_name(key.removeprefix("-")) in FIELDS:
        return True
    if _PLAIN_KEY.fullmatch(key) and not (pair["bare"] or "").startswith("//"):  # no https://…
        known = ", ".join(FIELDS)
        raise InvalidQuery("q", f"{key} is not a filter; there are {known}. Quote words with a colon")
    return False


def _end(match: re.Match[str] | None) -> int:
    assert match is not None, "the pattern matches the empty text"
    return match.end()
