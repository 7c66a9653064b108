"""A tick passes over series that it would not change: compared with judging them."""

import random
from collections import Counter
from typing import Any, Final

import pytest
from msgspec.structs import replace

from signals.domain.detection.buckets import Series
from signals.domain.detection.calendar import UTC_CLOCK
from signals.domain.detection.counts import PrefixCounts
from signals.domain.detection.rule_text import parse_rule
from signals.domain.incidents.following import SeriesFollower, SeriesRecord, Surroundings, begin_series
from signals.domain.incidents.record_codec import decode_record, encode_record
from signals.domain.incidents.watch import Watch
from signals.services.detection.resting import rested
from signals.store.detection.due_series import DueSeries

START: Final = 29_540_160
MINUTES: Final = 400
COMMON: Final = {"name": "few", "on": {"event_type": "custom"}, "per": ["release"]}
WATCHES: Final[dict[str, dict[str, Any]]] = {
    "floor_ratio": {"window": 5, "floor": 6, "ratio": 2},
    "seasonal": {"windows": [{"length": 15, "floor": 6, "ratio": 2, "significance": 2}]},
    "new_series": {"floor": 6},
    "absence": {"after": 10},
}


def watch_of(kind: str) -> Watch:
    rule = parse_rule({**COMMON, "kind": kind, **WATCHES[kind]})
    return Watch(seasonal=rule) if kind == "seasonal" else Watch(fixed=rule)  # type: ignore[arg-type]


def due(record: SeriesRecord) -> DueSeries:
    return DueSeries(
        series_id=1,
        series=Series("proj_1", "all", "rule:few:1", "rule:few:1|floor_ratio|custom", "org_1"),
        buckets=None,
        first_bucket=START,
        partition=0,
        needs_history=False,
        judged=record.judged,
        state=encode_record(record),
        has_open=record.track.episode is not None,
    )


def stored(state: bytes) -> SeriesRecord:
    record = decode_record(state)
    assert record is not None
    return record


def counts_of(seed: int) -> dict[int, int]:
    """Return sparse events, with an outage in the middle."""
    chance = random.Random(seed)
    quiet = {START + at: 1 for at in range(MINUTES) if chance.random() < 0.04}
    return quiet | {START + at: chance.randrange(3, 9) for at in range(150, 160)}


@pytest.mark.parametrize("kind", WATCHES)
@pytest.mark.parametrize("seed", range(6))
def test_series_that_rests_is_not_changed_by_its_judgement(kind: str, seed: int) -> None:
    watch, values = watch_of(kind), counts_of(seed)
    around = Surroundings(
        counts=PrefixCounts(START, [values.get(START + at, 0) for at in range(MINUTES)]),
        hours={},
        project_since=START,
        clock=UTC_CLOCK,
    )
    record, chance = begin_series(START), random.Random(seed)
    passed: Counter[str] = Counter()
    minute = START
    while minute < START + MINUTES - 1:
        minute = min(minute + chance.choice((1, 1, 1, 7)), START + MINUTES - 1)
        follower = SeriesFollower(watch, record, around)
        followed = list(follower.advance(minute))
        after = follower.record()
        before = due(record)
        state = rested(before, watch, values, {}, minute)
        if state is not None:
            passed["unchanged" if state is before.state else "moved"] += 1
            assert followed == []
            assert after == replace(stored(state), judged=minute)
        record = stored(encode_record(after))
    if watch.watches_silence:
        assert passed == {}
    else:
        assert passed["unchanged"] > MINUTES / 8
        assert passed["moved"] > 5


def test_series_with_an_open_incident_or_an_hour_to_close_does_not_rest() -> None:
    watch, values = watch_of("seasonal"), {START: 1, START + 58: 1}
    record = replace(begin_series(START), judged=START + 58, last_event=START + 58)
    assert rested(due(record), watch, values, {}, START + 59) == encode_record(record)
    assert rested(due(record), watch, values, {}, START + 60) is None
    assert rested(replace(due(record), has_open=True), watch, values, {}, START + 59) is None
    assert rested(replace(due(record), state=b"another format"), watch, values, {}, START + 59) is None
    asleep = {START: 1}  # no event within the minutes that are read
    assert rested(due(record), watch_of("floor_ratio"), asleep, {}, START + 90) is None


def test_series_that_comes_back_after_its_silence_is_judged_in_full() -> None:
    watch = watch_of("new_series")
    record = replace(begin_series(START), judged=START + 9)
    back = START + 14 * 1440  # as many days as a rule for new series remembers one
    assert rested(replace(due(record), judged=back - 2), watch, {back - 1: 1}, {}, back - 1) is not None
    assert rested(replace(due(record), judged=back - 1), watch, {back: 1}, {}, back) is None
