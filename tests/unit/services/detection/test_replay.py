"""A file's counts as incidents and outages of one project."""

import random
from collections.abc import Mapping, Sequence

from shared_types import EventType
from signals.domain.detection.calendar import UTC_CLOCK
from signals.domain.detection.default_rules import DEFAULT_RULES
from signals.domain.detection.rule_types import (
    Absence,
    Baseline,
    EventSelection,
    FloorRatio,
    NewSeries,
    Rate,
    Rule,
)
from signals.services.detection.count_lines import CountedSeries, CountLine, read_counts
from signals.services.detection.replay import ReplayedOutage, replay_counts

START = 29_540_160  # a Monday, 00:00 UTC


def _series(code: str, route: str, event_type: str = "error") -> CountedSeries:
    pairs = (("event_type", event_type), ("error_code", code), ("route", route), ("environment", "prod"))
    return CountedSeries(f"{event_type}:{code} {route}", pairs)


def _lines(counts: Mapping[CountedSeries, Sequence[int]]) -> list[CountLine]:
    lines = [
        CountLine(START + at, series, count)
        for series, all_counts in counts.items()
        for at, count in enumerate(all_counts)
        if count
    ]
    return sorted(lines, key=lambda line: line.minute)


def _confirmed(outages: Sequence[ReplayedOutage]) -> list[ReplayedOutage]:
    return [outage for outage in outages if outage.confirmed_at is not None]


def _quiet(minutes: int, seed: int) -> list[int]:
    rng = random.Random(seed)
    return [int(rng.random() < 0.3) for _ in range(minutes)]


def test_outage_over_ten_routes_is_reported_once() -> None:
    counts = {}
    for number in range(10):
        counts[_series("DB_DOWN", f"/r{number}")] = _quiet(600, number) + [20] * 30 + _quiet(60, number)
        counts[_series("TIMEOUT", f"/r{number}")] = _quiet(690, 50 + number)
    (outage,) = _confirmed(replay_counts(_lines(counts), DEFAULT_RULES, UTC_CLOCK))
    assert outage.outage.cause == ("error_code", "DB_DOWN")
    assert len(outage.incidents) == 10


def test_lines_of_one_fingerprint_are_added_up() -> None:
    half = [10] * 3
    releases = {
        CountedSeries(text, (*_series("A", "/a").attributes, ("release", text))): [1] * 200 + half
        for text in ("r1", "r2")
    }
    rule = FloorRatio(name="mine", on=EventSelection(event_type=EventType.ERROR), floor=45)
    (outage,) = replay_counts(_lines(releases), [rule], UTC_CLOCK)
    assert outage.incidents[0].episode.opened.count >= 45
    assert outage.incidents[0].series == "error_code=A|route=/a|environment=prod"


def test_own_rule_is_confirmed_and_filters_by_attribute() -> None:
    rule = FloorRatio(
        name="pay", on=EventSelection(event_type=EventType.ERROR, route=("/pay",)), per=("route",), floor=10
    )
    counts = {_series("A", "/pay"): [0] * 99 + [1, 0, 12], _series("A", "/other"): [1] + [0] * 100 + [99]}
    (outage,) = replay_counts(_lines(counts), [rule], UTC_CLOCK)
    assert [(one.series, one.episode.verdict) for one in outage.incidents] == [("error:A /pay", "confirmed")]


def test_own_rule_learns_while_it_has_counted_too_little() -> None:
    """Counts begin as if the rule were new: what is steady already is no news, what comes later is."""
    rule = FloorRatio(name="mine", on=EventSelection(event_type=EventType.ERROR), floor=10)
    counts = {_series("A", "/a"): [24] * 200 + [200] * 5 + [24] * 100}
    found = [
        (one.episode.opened_at - START, one.episode.verdict)
        for outage in replay_counts(_lines(counts), [rule], UTC_CLOCK)
        for one in outage.incidents
    ]
    assert found == [(0, "learning"), (201, "confirmed")]


def test_ids_of_a_route_make_one_series_as_they_do_in_the_product() -> None:
    text = (
        '"{""event_type"":""error"",""error_code"":""X"",""route"":""/orders/%d"",""environment"":""prod""}"'
    )
    lines = ["minute,series,count"]
    for minute in range(400):
        for number in range(60 if minute >= 390 else 1):
            at = f"2026-03-02T{minute // 60:02}:{minute % 60:02}:00Z"
            lines.append(f"{at},{text % (1000 * minute + number)},1")
    (outage,) = replay_counts(read_counts(lines), DEFAULT_RULES, UTC_CLOCK)
    (incident,) = outage.incidents
    assert incident.series == "error_code=X|route=/orders/{id}|environment=prod"
    assert (incident.episode.opened_at - START, incident.episode.verdict) == (390, "confirmed")


def test_own_rule_by_environment_takes_series_that_are_mere_names() -> None:
    rule = Absence(name="beat", on=EventSelection(event_type=EventType.SIGNUP), per=("environment",))
    named = CountedSeries("shop-signups", (("event_type", "signup"), ("environment", "shop-signups")))
    later = CountLine(START + 100, _series("A", "/a"), 1)
    (outage,) = replay_counts([CountLine(START, named, 3), later], [rule], UTC_CLOCK)
    assert [one.series for one in outage.incidents] == ["shop-signups"]


def test_rule_with_a_long_baseline_learns_until_it_is_whole() -> None:
    baseline = Baseline(length=70)
    rule = FloorRatio(
        name="mine", on=EventSelection(event_type=EventType.ERROR), floor=10, ratio=1.05, baseline=baseline
    )
    counts = {_series("A", "/a"): [24] * 300}
    found = [one for outage in replay_counts(_lines(counts), [rule], UTC_CLOCK) for one in outage.incidents]
    assert {one.episode.verdict for one in found} == {"learning"}
    assert found[-1].episode.last_fired - START > 65  # the rule fires on missing minutes until then


def test_rate_rule_compares_errors_with_requests() -> None:
    rule: Rule = Rate(
        name="failures",
        on=EventSelection(event_type=EventType.ERROR),
        of=EventSelection(event_type=EventType.HTTP_REQUEST),
        per=("route",),
    )
    counts = {
        _series("A", "/pay"): [1] * 100 + [10] * 20,
        _series("A", "/pay", "http_request"): [50] * 120,
    }
    (outage,) = replay_counts(_lines(counts), [rule], UTC_CLOCK)
    assert START + 100 <= outage.incidents[0].episode.opened_at <= START + 110


def test_series_beyond_the_bound_are_counted_together() -> None:
    rule = FloorRatio(name="mine", on=EventSelection(event_type=EventType.ERROR), max_series=2, floor=30)
    counts = {_series("A", f"/{number}"): [1] * 70 + [4] * 5 for number in range(9)}
    names = [
        one.series for outage in replay_counts(_lines(counts), [rule], UTC_CLOCK) for one in outage.incidents
    ]
    assert set(names) == {"other"}


def test_empty_input_gives_no_incident() -> None:
    assert replay_counts([], DEFAULT_RULES, UTC_CLOCK) == []


def test_newest_line_with_count_zero_ends_its_series() -> None:
    ended, other = CountedSeries("a-signups", (("event_type", "signup"),)), _series("A", "/a")
    busy = [CountLine(START + at, ended, 10) for at in range(600)]
    later = [CountLine(START + at, other, 1) for at in range(600, 1200)]
    assert _confirmed(replay_counts([*busy, *later], DEFAULT_RULES, UTC_CLOCK))
    marked = [*busy, CountLine(START + 600, ended, 0), *later]
    assert not _confirmed(replay_counts(marked, DEFAULT_RULES, UTC_CLOCK))


def test_lines_with_count_zero_change_nothing_while_the_series_lasts() -> None:
    series = _series("A", "/a")
    counts = [0] * 100 + _quiet(200, 1) + [50] * 20 + _quiet(100, 2) + [1]
    every = [CountLine(START + at, series, count) for at, count in enumerate(counts)]
    first = CountLine(START, _series("B", "/b"), 1)
    sparse = [line for line in every if line.count]
    found = replay_counts([first, *every], DEFAULT_RULES, UTC_CLOCK)
    assert _confirmed(found)
    assert found == replay_counts([first, *sparse], DEFAULT_RULES, UTC_CLOCK)


def test_series_counts_as_new_after_its_silent_days() -> None:
    counts = {_series("OLD", "/a"): [20] * 5 + [0] * (3 * 1440) + [20] * 5}
    opened = []
    for days in (2, 4):
        rule = NewSeries(name="new", on=EventSelection(event_type=EventType.ERROR), silent_days=days)
        opened.append(
            sum(len(outage.incidents) for outage in replay_counts(_lines(counts), (rule,), UTC_CLOCK))
        )
    assert opened == [2, 1]
