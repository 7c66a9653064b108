"""Says in plain words, with units, when a rule opens an incident and what its fields mean."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from serve_apps.console.words import number
from signals.domain.detection.rule_types import DAY

MEANINGS: Final[Mapping[str, str]] = {
    "name": "how the rule is called",
    "kind": "what it looks for",
    "on": "the events that it counts",
    "of": "all events, of which `on` selects a part",
    "per": "attributes whose values make one series each; `[]` makes one series of all events",
    "severity": "of its incidents; left out: by how far the count is off",
    "hold": "it must fire at `fires` of the last `of` minutes",
    "max_series": "series that are counted apart; further ones are counted together",
    "enabled": "`false` lets it open nothing",
    "window": "minutes that are counted together; `10m` and `1h` are understood",
    "floor": "events in the window",
    "ratio": "times the baseline",
    "baseline": "`length`: minutes before the window; `minimum`: events that it counts as at least",
    "ceiling": "events in the window",
    "direction": "`up`: more events are bad; `down`: fewer",
    "windows": "lengths in minutes, each with its own `floor` (events), `ratio` (times the expected) and "
    "`significance` (standard deviations)",
    "guard": "times the third highest daily peak of the last 14 days, which the significance must exceed",
    "opens": "`incident`, or `verdict`: it opens none, and confirms those of the first two rules",
    "limit": "a share; `5%` and `0.05` mean the same",
    "after": "minutes without an event; `2h` and `1d` are understood",
    "silent_days": "days without an event after which a series is new again",
}
"""What each field of the kinds of rules means, with its unit. Source: docs/how-to/write-rules.md."""
LEVELS: Final[Mapping[str, str]] = {
    "recent": "the level of the last hours",
    "usual": "the level of the last days",
    "both": "the more careful level of the last hours and of the last days",
    "today": "the level of today",
}
CONDITIONS: Final[Mapping[str, str]] = {
    "events against the baseline": "events beside the hour before",
    "baseline": "usual events",
    "events against the expectation": "events beside the expected number",
    "significance": "standard deviations from the expected number",
    "surely a share of": "share, at its surest least",
}
"""Other words for conditions whose names ask the reader to know the method."""


def opens_when(spec: Mapping[str, Any]) -> str:
    """Say in one sentence when a rule opens an incident; `spec` has every field."""
    verb = "Confirms an incident when" if spec.get("opens") == "verdict" else "Opens an incident when"
    return f"{verb} {_REASONS[spec['kind']](spec)}."


def _floor_ratio(spec: Mapping[str, Any]) -> str:
    floor, window, ratio = events(spec["floor"]), minutes(spec["window"]), number(spec["ratio"])
    before = minutes(spec["baseline"]["length"])
    return f"it counts at least {floor} in {window}, and {ratio} times as many as usual in {before} before"


def _drop(spec: Mapping[str, Any]) -> str:
    ceiling, window, baseline = events(spec["ceiling"]), minutes(spec["window"]), spec["baseline"]
    usual, before = events(baseline["minimum"]), minutes(baseline["length"])
    return f"it counts at most {ceiling} in {window}, where {usual} or more are usual by {before} before"


def _rate(spec: Mapping[str, Any]) -> str:
    share, window, floor = f"{number(100 * spec['limit'])} %", minutes(spec["window"]), events(spec["floor"])
    return f"these are surely at least {share} of all in {window}, and all are at least {floor}"


def _absence(spec: Mapping[str, Any]) -> str:
    return f"there is no event for {minutes(spec['after'])}, after at least one in the last 14 days"


def _new_series(spec: Mapping[str, Any]) -> str:
    floor, window, silent = events(spec["floor"]), minutes(spec["window"]), minutes(spec["silent_days"] * DAY)
    return f"it counts at least {floor} in {window} of a series that is new, or that had none for {silent}"


def _seasonal(spec: Mapping[str, Any]) -> str:
    more = "more" if spec["direction"] == "up" else "fewer"
    return f"one of its windows has far {more} events than is usual at this hour of the week"


_REASONS: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "floor_ratio": _floor_ratio,
    "drop": _drop,
    "rate": _rate,
    "absence": _absence,
    "new_series": _new_series,
    "seasonal": _seasonal,
}


def rows_of(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what the sentence leaves out, as rows of a name and a text."""
    for at, window in enumerate(spec.get("windows") or (), 1):
        yield f"window {at}", _window(window, spec["direction"])
    if "guard" in spec:
        yield "guard", f"{number(spec['guard'])} times the third highest daily peak of the last 14 days"
    if spec["kind"] == "floor_ratio":
        yield "usual", f"counts as {events(spec['baseline']['minimum'])} at least"
    yield "series", "one for each " + _joined(spec["per"]) if spec["per"] else "one of all events"
    yield "most series", f"{number(spec['max_series'])}; further ones are counted together"
    hold = spec["hold"]
    if hold["fires"] > 1 or hold["of"] > 1:
        yield "holds", f"at {hold['fires']} of the last {minutes(hold['of'])}"
    yield "severity", spec["severity"] or "by how far the count is off"


def _window(window: Mapping[str, Any], direction: str) -> str:
    floor, ratio = events(window["floor"]), window["ratio"]
    if direction == "up":
        said = f"at least {floor}, and {number(ratio)} times the expected number"
    else:
        said = f"at least {floor} expected, and at most {number(100 * ratio)} % of them"
    if window["spread"] > 1:
        said += f", in at least {minutes(window['spread'])} of it"
    level, deviations = LEVELS[window["against"]], number(window["significance"])
    return f"{minutes(window['length'])}: {said}, {deviations} standard deviations off, against {level}"


def minutes(count: int) -> str:
    """Write a number of minutes with its unit; whole hours and days as such."""
    if count >= DAY and count % DAY == 0:
        return _many(count // DAY, "day")
    if count > 60 and count % 60 == 0:
        return _many(count // 60, "hour")
    return _many(count, "minute")


def events(count: float) -> str:
    """Write a number of events."""
    return _many(count, "event")


def _many(count: float, unit: str) -> str:
    return f"{number(count)} {unit}{'' if count == 1 else 's'}"


def _joined(names: Sequence[str]) -> str:
    words = [name.replace("_", " ") for name in names]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
