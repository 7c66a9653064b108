"""When an incident is compared while the index is behind."""

from datetime import timedelta

import pytest

from signals.domain.summary.patience import AGAIN_AFTER, EARLY_AFTER, LONGEST, IndexProgress

YOUNG = timedelta(milliseconds=300)


def progress(*, missing: int, age: timedelta, has_part: bool = False) -> IndexProgress:
    """A job's progress."""
    return IndexProgress(missing=missing, age=age, has_part=has_part)


@pytest.mark.parametrize(
    ("missing", "age", "has_part", "expected"),
    [
        pytest.param(0, YOUNG, False, True, id="an index that has all is searched at once"),
        pytest.param(1, YOUNG, False, False, id="an index that is behind is not searched at once"),
        pytest.param(1, EARLY_AFTER, False, True, id="a part is compared after two seconds"),
        pytest.param(1, EARLY_AFTER, True, False, id="a part is compared once"),
        pytest.param(0, EARLY_AFTER, True, True, id="all is compared after a part"),
        pytest.param(900_000, LONGEST, True, True, id="the wait ends"),
    ],
)
def test_search_is_due_once_it_is_worth_it(
    missing: int, age: timedelta, has_part: bool, expected: bool
) -> None:
    assert progress(missing=missing, age=age, has_part=has_part).is_worth_a_search is expected


@pytest.mark.parametrize(
    ("missing", "age", "searchable", "is_refreshed", "expected"),
    [
        pytest.param(0, YOUNG, 0.95, True, True, id="nearly all of the newest events is all"),
        pytest.param(0, YOUNG, 0.5, True, False, id="newer events follow"),
        pytest.param(0, YOUNG, 1.0, False, False, id="an index that did not refresh is asked again"),
        pytest.param(5, EARLY_AFTER, 1.0, True, False, id="other partitions are behind"),
        pytest.param(5, LONGEST, 0.0, False, True, id="the wait ends with what there is"),
    ],
)
def test_comparison_is_last_when_no_other_would_say_more(
    missing: int, age: timedelta, searchable: float, is_refreshed: bool, expected: bool
) -> None:
    found = progress(missing=missing, age=age)
    assert found.is_last(searchable=searchable, is_refreshed=is_refreshed) is expected


def test_part_is_sound_when_few_events_are_missing() -> None:
    assert progress(missing=10, age=EARLY_AFTER).is_sound(100)
    assert not progress(missing=11, age=EARLY_AFTER).is_sound(100)


def test_pause_ends_when_a_part_may_be_compared() -> None:
    assert progress(missing=1, age=YOUNG).pause == EARLY_AFTER - YOUNG
    assert progress(missing=1, age=EARLY_AFTER, has_part=True).pause == AGAIN_AFTER
