"""A timeline tells what each person did, once, however many incidents an outage has."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from serve_apps.console.history import STATUS, changes_by_people, is_newest_by_hand
from serve_apps.console.words import Clock

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
CLOCK = Clock(NOON, ZoneInfo("UTC"))
NAMES = {"user:1": "Ann", "user:2": "Ben"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """A change at noon."""

    actor: str
    kind: str = "status"
    at: datetime = NOON
    detail: dict[str, Any] = field(default_factory=lambda: {"status": "resolved"})


def said(*changes: Changed) -> list[str]:
    return [line.text for line in changes_by_people(changes, NAMES, CLOCK)]


def test_two_people_at_one_instant_both_appear() -> None:
    assert said(Changed(actor="user:1"), Changed(actor="user:2")) == ["Ann resolved it", "Ben resolved it"]


def test_two_changes_of_one_person_at_one_instant_both_appear() -> None:
    note = Changed(actor="user:1", kind="commented", detail={"text": "done"})
    assert said(note, Changed(actor="user:1")) == ["Ann: done", "Ann resolved it"]


def test_change_of_several_incidents_stands_once() -> None:
    assert said(Changed(actor="user:1"), Changed(actor="user:1"), Changed(actor="engine")) == [
        "Ann resolved it"
    ]


def test_split_leads_to_the_other_outage_from_both_sides() -> None:
    left = Changed(actor="user:1", kind="split", detail={"split_from": "old", "outage_id": "new"})
    stayed = Changed(actor="user:1", kind="split", detail={"split_off": "incident", "outage_id": "new"})
    merged = Changed(actor="key:1", kind="merged", detail={"merged_from": "old", "outage_id": "new"})
    lines = changes_by_people([left, stayed, merged], NAMES, CLOCK)
    assert [line.path for line in lines] == ["/outages/old", "/outages/new", ""]
    assert lines[2].text == "An API key merged two outages into one"


def test_person_is_not_named_for_a_later_change_of_the_engine() -> None:
    taken, noted = Changed(actor="user:1"), Changed(actor="engine", kind="seen", detail={})
    ended = Changed(actor="engine", at=NOON + timedelta(minutes=5))
    assert is_newest_by_hand([taken, noted], STATUS)
    assert not is_newest_by_hand([ended, taken], STATUS)
    assert not is_newest_by_hand([noted], STATUS)
