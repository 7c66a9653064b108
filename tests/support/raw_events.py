"""Hypothesis strategies for valid events as clients send them, in every notation."""

from datetime import datetime, timedelta, timezone

from hypothesis import strategies as st

from shared_types import Environment, EventType, Severity

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
LABEL = st.one_of(
    st.none(),
    TEXT,
    st.text("ab|%-C72D \u0301é", max_size=8),
    st.integers(-5, 5),
    st.sampled_from(
        [
            "-", "%2D", "/orders/48213", "/a/9f8a7b6c5d4e?x=1#y", "/1" * 64, "?q=1",
            "T_9f86d081884c7d659a2f",
            "550e8400-e29b-41d4-a716-446655440000", "HTTP_503", "/v2/users",
        ]
    ),
)  # fmt: skip
NAME = st.from_regex(r"[a-z_]{1,8}(\.[a-z]{1,8})?", fullmatch=True)
SCALAR = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXT,
)
JSON = st.recursive(
    SCALAR,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAME, inner, max_size=3)),
    max_leaves=8,
)
OFFSET = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
INSTANT = st.builds(
    lambda offset, seconds: (datetime(2000, 1, 3, tzinfo=offset) + timedelta(seconds=seconds)).isoformat(),
    OFFSET,
    st.floats(0, 25 * 365 * 86_400),
)


def _any_case(words: type[EventType] | type[Severity] | type[Environment]) -> st.SearchStrategy[str]:
    return st.sampled_from(
        [form for name in (*words, *words.other_names()) for form in (str(name), name.upper())]
    )


ATTRIBUTES = st.tuples(
    st.fixed_dictionaries(
        {},
        optional={
            "route": LABEL,
            "method": LABEL.filter(lambda method: len(str(method)) <= 32),
            "error_code": LABEL,
            "release": LABEL,
            "status_code": st.one_of(st.integers(-5, 2000), st.floats(0, 999), st.text("0123 x", max_size=4)),
        },
    ),
    st.dictionaries(st.from_regex(r"x_[a-z]{1,6}", fullmatch=True), SCALAR, max_size=3),
).map(lambda parts: {**parts[1], **parts[0]})
EVENT = st.fixed_dictionaries(
    {
        "event_type": _any_case(EventType),
        "occurred_at": INSTANT,
        "message": TEXT.map(lambda text: "m" + text),
    },
    optional={
        "event_id": st.uuids().map(str),
        "environment": _any_case(Environment),
        "severity": _any_case(Severity),
        "attributes": ATTRIBUTES,
        "payload": st.dictionaries(NAME, JSON, max_size=4),
    },
)
