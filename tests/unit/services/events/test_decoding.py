"""How many values a JSON text holds is known before it is parsed."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signals.domain.events.loose_json import holds_more_values

JSON = st.recursive(
    st.none() | st.integers() | st.text(alphabet='ab,[{"\\\n', max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=40,
)


def _marks(value: object) -> int:
    """Commas and opening brackets that stand outside strings, counted on the value itself."""
    if not isinstance(value, (list, dict)):
        return 0
    inner = value.values() if isinstance(value, dict) else value
    return 1 + max(0, len(value) - 1) + sum(_marks(item) for item in inner)


@given(value=JSON)
def test_marks_inside_strings_do_not_count(value: object) -> None:
    text, marks = json.dumps(value).encode(), _marks(value)
    assert not holds_more_values(text, marks)
    if marks:
        assert holds_more_values(text, marks - 1)


@pytest.mark.parametrize("start", [b'"', b'{"a\\', b'"\\', b'{"a": "b\r'])
def test_broken_line_does_not_hide_the_next(start: bytes) -> None:
    assert holds_more_values(start + b"\n" + b"[" + b"{}," * 20, 20)
