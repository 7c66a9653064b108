"""The few events that stand for a minute are as different as they can be."""

from datetime import timedelta

from shared_types import Envelope
from signals.domain.incidents.representatives import choose
from tests.support.events import NOON, event


def _errors(*releases: str, status_code: int = 503) -> list[Envelope]:
    return [
        event("error", NOON + timedelta(seconds=n), release=release, status_code=status_code)
        for n, release in enumerate(releases)
    ]


def test_a_new_release_goes_before_more_of_the_same() -> None:
    same, again, other = _errors("1", "1", "2")
    assert choose([same, again, other], 2) == [same, other]


def test_a_new_status_goes_before_more_of_the_same() -> None:
    events = [*_errors("1", "1"), *_errors("1", status_code=500)]
    assert choose(events, 2) == [events[0], events[2]]


def test_more_of_the_same_fills_what_is_left_in_order() -> None:
    events = _errors("1", "1", "1", "2")
    assert choose(events, 3) == [events[0], events[3], events[1]]


def test_no_place_no_event() -> None:
    events = _errors("1", "2")
    assert choose(events, 0) == []
    assert choose(events, -2) == []
    assert choose([], 3) == []
