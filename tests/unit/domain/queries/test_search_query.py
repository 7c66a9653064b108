"""Search filters and cursors: tables of accepted and refused texts."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared_types import Fingerprint, Tenancy, canonicalize
from signals.domain.access.api_keys import SECRET_BYTES, key_text, scope_of
from signals.domain.access.scopes import Scope
from signals.domain.queries import cursors
from signals.domain.queries.parameters import InvalidQuery
from signals.domain.queries.search import (
    AnyOf,
    Between,
    Excluded,
    Filter,
    event_query,
    parse_filters,
    search_filters,
    working_filters,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CODE = "attributes.status_code"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" , ,", []),
        ("severity:error", [AnyOf(field="severity", values=("error",))]),
        ("severity:Error,severity:warn", [AnyOf(field="severity", values=("error", "warn"))]),
        ("severity:error severity:error", [AnyOf(field="severity", values=("error",))]),
        ('label:"region=fra1"', [AnyOf(field="labels", values=("region=fra1",))]),
        ("env:PROD", [AnyOf(field="environment", values=("prod",))]),
        ("route:/a:b?c=d", [AnyOf(field="attributes.route", values=("/a:b?c=d",))]),
        ("route:[slug]", [AnyOf(field="attributes.route", values=("[slug]",))]),
        ("route:>=x", [AnyOf(field="attributes.route", values=(">=x",))]),
        (r'route:"/a, b \" \\"', [AnyOf(field="attributes.route", values=('/a, b " \\',))]),
        ("ATTRIBUTES.METHOD:post", [AnyOf(field="attributes.method", values=("POST",))]),
        ("status_code:503", [AnyOf(field=CODE, values=(503,))]),
        ("status_code:>=500", [Between(field=CODE, low=500)]),
        ("status_code:>500", [Between(field=CODE, low=500, low_included=False)]),
        ("status_code:<=500", [Between(field=CODE, high=500)]),
        ("status_code:<500", [Between(field=CODE, high=500, high_included=False)]),
        ("status_code:[500 TO 599]", [Between(field=CODE, low=500, high=599)]),
        ("status_code:{500 TO *]", [Between(field=CODE, low=500, low_included=False)]),
        ("status_code:[* TO 400}", [Between(field=CODE, high=400, high_included=False)]),
        ("-route:/a", [Excluded(condition=AnyOf(field="attributes.route", values=("/a",)))]),
        (
            "severity:error -status_code:>=500",
            [AnyOf(field="severity", values=("error",)), Excluded(condition=Between(field=CODE, low=500))],
        ),
        ("occurred_at:>=2026-03-01T13:00:00+01:00", [Between(field="occurred_at", low=NOON)]),
    ],
)
def test_filters_parse_to_their_clauses(text: str, expected: list[Filter]) -> None:
    assert list(parse_filters([text])) == expected


@given(st.lists(st.text(), max_size=4))
def test_any_text_parses_or_names_its_mistake(texts: list[str]) -> None:
    try:
        outcome = {"filters" for _ in parse_filters(texts)}
    except InvalidQuery as error:
        outcome = {error.parameter}
    assert outcome <= {"filters"}


@given(st.text(max_size=256).filter(lambda text: text.strip() and "\x00" not in text))
def test_filters_of_an_incident_find_any_route(route: str) -> None:
    event = canonicalize(
        {
            "event_type": "error",
            "occurred_at": NOON.isoformat(),
            "message": "m",
            "attributes": {"route": route},
        },
        tenancy=Tenancy("o", "p"),
        received_at=NOON,
        event_id=UUID(int=1),
    )
    found = Fingerprint.of(event)
    assert found is not None
    query = event_query(text=None, filters=[search_filters(found)], since=None, until=None)
    assert AnyOf(field="attributes.route", values=(event.attributes.route or "",)) in query.filters


def test_the_filters_of_a_signup_incident_name_its_environment() -> None:
    assert search_filters(Fingerprint.parse("signup|prod")) == "event_type:signup environment:prod"


def test_a_missing_component_is_left_out_of_the_filters() -> None:
    assert search_filters(Fingerprint.parse("-|%2D|prod")) == 'event_type:error environment:prod route:"-"'


def test_a_row_cursor_returns_to_its_place() -> None:
    at, row_id = NOON.replace(microsecond=123456), UUID(int=7)
    tied_to = cursors.tie("incidents", "proj_1")
    cursor = cursors.encode_row(at, row_id, tied_to=tied_to)
    assert cursors.decode_row(cursor, tied_to=tied_to) == (at, row_id)
    with pytest.raises(InvalidQuery):
        cursors.decode_row(cursor, tied_to=cursors.tie("incidents", "proj_2"))


@given(st.text())
def test_any_text_is_a_cursor_or_refused(text: str) -> None:
    with pytest.raises(InvalidQuery):
        cursors.decode_row(text, tied_to="0" * 16)


@pytest.mark.parametrize(
    "parts",
    [
        ("x", "y"),
        ("2026-03-01", str(UUID(int=1))),
        ("0001-01-01T00:00:00+14:00", str(UUID(int=1))),
        ("2026-03-01T00:00:00+00:00", "no-id"),
        ("9999-12-31T23:59:59-23:00", str(UUID(int=1))),
        (1, 2),
        (None, None),
    ],
)
def test_a_forged_row_position_is_refused(parts: tuple[str | int | None, ...]) -> None:
    with pytest.raises(InvalidQuery):
        cursors.decode_row(cursors.encode(parts, tied_to="t"), tied_to="t")


@given(st.sampled_from(Scope), st.binary(min_size=SECRET_BYTES, max_size=SECRET_BYTES))
def test_a_key_says_its_scope(scope: Scope, secret: bytes) -> None:
    key = key_text(scope, secret)
    assert scope_of(key) is scope
    assert len(key) == len(f"sig_{scope}_") + (64 if scope is Scope.PUBLIC else 43)


def test_working_requests_are_those_of_the_route() -> None:
    found = working_filters(Fingerprint.parse("TIMEOUT|/a b|prod"))
    assert found == 'event_type:http_request environment:prod route:"/a b" status_code:<400'
    assert event_query(text=None, filters=[found], since=None, until=None).filters
    assert "route" not in working_filters(Fingerprint.parse("TIMEOUT|-|prod"))
