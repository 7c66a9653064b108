"""A key opens a bounded number of groups an hour."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from shared_types.grouping import MANY
from signals.domain.events.grouping_guard import GroupingGuard
from tests.support.events import NOON

KEY, OTHER = UUID(int=1), UUID(int=2)


def _errors(codes: int, routes: int) -> list[dict[str, Any]]:
    return [
        {
            "event_type": "error",
            "environment": "prod",
            "attributes": {"error_code": f"E{code}", "route": f"/r{route}"},
            "payload": {},
        }
        for code in range(codes)
        for route in range(routes)
    ]


def _groups(events: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(event["attributes"]["error_code"], event["attributes"]["route"]) for event in events}


def test_many_routes_become_one() -> None:
    events = _errors(1, 50)
    GroupingGuard(10).bound(KEY, events, NOON)
    assert _groups(events) == {*(("E0", f"/r{number}") for number in range(10)), ("E0", MANY)}
    assert events[-1]["payload"] == {"route": "/r49"}


def test_many_codes_become_one() -> None:
    events = _errors(100, 1)
    GroupingGuard(10).bound(KEY, events, NOON)
    assert len(_groups(events)) == 21
    assert events[-1]["attributes"] == {"error_code": MANY, "route": MANY}
    assert events[-1]["payload"] == {"route": "/r0", "error_code": "E99"}


def test_known_groups_other_keys_and_other_hours_are_not_bounded() -> None:
    guard = GroupingGuard(10)
    guard.bound(KEY, _errors(1, 50), NOON)
    known, others, later = _errors(1, 10), _errors(1, 10), _errors(2, 5)
    guard.bound(KEY, known, NOON)
    guard.bound(OTHER, others, NOON)
    guard.bound(KEY, later, NOON + timedelta(hours=1))
    for events in (known, others, later):
        assert len(_groups(events)) == 10
