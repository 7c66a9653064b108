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


def test_new_release_ranks_before_known_ones() -> None:
    same, again, other = _errors("1", "1", "2")
    assert choose([same, again, other], 2) == [same, other]


def test_new_status_ranks_before_known_ones() -> None:
    events = [*_errors("1", "1"), *_errors("1", status_code=500)]
    assert choose(events, 2) == [events[0], events[2]]


def test_similar_events_fill_the_remaining_places_in_order() -> None:
    events = _errors("1", "1", "1", "2")
    assert choose(events, 3) == [events[0], events[3], events[1]]


def test_zero_places_choose_no_event() -> None:
    events = _errors("1", "2")
    assert choose(events, 0) == []
    assert choose(events, -2) == []
    assert choose([], 3) == []
