"""One line holds words and filters; what looks like a filter and is none is named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signals.domain.queries.parameters import InvalidQuery
from signals.domain.queries.query_line import split_line
from signals.domain.queries.search import FIELDS, parse_filters, written_filter


@pytest.mark.parametrize(
    ("text", "words", "pairs"),
    [
        ("", "", []),
        ("  price   missing ", "price missing", []),
        ("severity:error env:prod", "", ["severity:error", "env:prod"]),
        ('late route:"/a b" -price', "late -price", ['route:"/a b"']),
        ("-route:/cart, status_code:>=500", "", ["-route:/cart", "status_code:>=500"]),
        ("status_code:[500 TO 599] x", "x", ["status_code:[500 TO 599]"]),
        ('"no such: cart" -"two words" pre*', '"no such: cart" -"two words" pre*', []),
        ("TypeError: unsupported", "TypeError: unsupported", []),
        ("TypeError:x https://a.example/b", "TypeError:x https://a.example/b", []),
        ('route:"open', 'route:"open', []),
        ("Attributes.Route:/A", "", ["Attributes.Route:/A"]),
    ],
)
def test_line_is_split_into_words_and_pairs(text: str, words: str, pairs: list[str]) -> None:
    line = split_line(text)
    assert (line.words, list(line.pairs)) == (words, pairs)


def test_unknown_filter_is_named_with_those_that_exist() -> None:
    with pytest.raises(InvalidQuery, match=r"rout is not a filter; there are .*route"):
        split_line("rout:/cart")


@given(st.text(alphabet=st.sampled_from('ab:-"\\\\ ,/route'), max_size=60))
def test_any_line_is_read_or_names_its_mistake(text: str) -> None:
    faults = set()
    try:
        parse_filters(split_line(text).pairs)
    except InvalidQuery as error:
        faults.add(error.parameter)
    assert faults <= {"q", "filters"}


@given(st.text(max_size=60).filter(lambda text: text.strip() and "\x00" not in text))
def test_narrowed_line_has_the_pair_once_and_without_its_opposite(value: str) -> None:
    line = split_line("late severity:error")
    once = split_line(line.narrowed("route", value))
    assert once.words == "late"
    assert split_line(once.narrowed("route", value)) == once
    excluded = split_line(once.narrowed("route", value, excludes=True))
    assert excluded.pairs == ("severity:error", written_filter("route", value, excludes=True))


def test_quoted_and_bare_pairs_of_one_value_are_one() -> None:
    assert split_line('route:"/cart"').narrowed("route", "/cart") == "route:/cart"


def test_every_field_can_be_excluded() -> None:
    for name in FIELDS:
        assert split_line(f"-{name}:x").pairs == (f"-{name}:x",)
