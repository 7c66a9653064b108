"""Rules as data: what a rule of each kind is made of, with the bounds of every field.

Each kind says here what the rest asks of it: which change it looks for, which events it counts, and how long
it must count. `rule_text` reads rules from a file or a request, `fixed_rules` and `seasonal` judge by them.
"""

from typing import Annotated, Final, Literal, cast

import msgspec
from msgspec import Meta

from shared_types import Environment, EventType, Severity
from shared_types.fingerprints import RULE_NAME, WatchedChange
from signals.domain.detection.counts import MINUTES_READ

Attribute = Literal["environment", "error_code", "route", "release", "method", "status_code"]
Direction = Literal["up", "down"]
Against = Literal["recent", "usual", "both", "today"]
RuleSeverity = Literal["warn", "error", "critical"]

FINGERPRINT: Final[tuple[Attribute, ...]] = ("error_code", "route", "environment")
"""The attributes that make an error's fingerprint. Source: requirements.md, R14."""

RuleName = Annotated[
    str,
    Meta(
        pattern=rf"^{RULE_NAME}$(?!\n)",  # a dollar alone would take a line feed behind the name
        description="1 to 63 small letters, digits and hyphens, with a letter first",
    ),
]
Minutes = Annotated[int, Meta(ge=1, le=60)]
Count = Annotated[int, Meta(ge=0, le=1_000_000)]
Ratio = Annotated[float, Meta(gt=0, le=1_000)]
Value = Annotated[str, Meta(min_length=1, max_length=512, pattern=r"^[^\x00]*$")]
Values = Annotated[tuple[Value, ...], Meta(max_length=100)]

DAY: Final = 24 * 60  # minutes
FORGOTTEN_AFTER: Final = 14 * DAY  # minutes of silence after which a series begins anew
KNOWN_AFTER: Final = 65  # minutes of history that Rule A needs; before, a normal is unknown


class EventSelection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which events count: all conditions hold; a list means one of its values."""

    event_type: EventType
    severity: Annotated[tuple[Severity, ...], Meta(max_length=5)] = ()
    environment: Annotated[tuple[Environment, ...], Meta(max_length=3)] = ()
    error_code: Values = ()
    route: Values = ()
    release: Values = ()
    method: Values = ()
    status_code: Values = ()


class Hold(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Open only when the rule fires at `fires` of the last `of` minutes."""

    fires: Annotated[int, Meta(ge=1, le=30)] = 1
    of: Annotated[int, Meta(ge=1, le=30)] = 1

    def __post_init__(self) -> None:
        if self.fires > self.of:
            raise _impossible("fires", f"at most hold.of, the number of minutes looked at: {self.of}")


class Baseline(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The minutes before the window, averaged over as many minutes as the window has."""

    length: Annotated[int, Meta(ge=5, le=70)] = 60
    minimum: Annotated[float, Meta(ge=0, le=1_000_000)] = 1.0


class _Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """Fields of every rule. `per` names the attributes whose values make one series."""

    name: RuleName
    on: EventSelection
    per: Annotated[tuple[Attribute, ...], Meta(max_length=6)] = FINGERPRINT
    severity: RuleSeverity | None = None
    hold: Hold = Hold()
    max_series: Annotated[int, Meta(ge=1, le=10_000)] = 1_000
    enabled: bool = True
    locked: bool = False
    version: Annotated[int, Meta(ge=1)] = 1

    @property
    def change(self) -> WatchedChange:
        """The change that it looks for."""
        return cast(WatchedChange, self.__struct_config__.tag)

    @property
    def watched_direction(self) -> Direction:
        """Whether more events are bad, or fewer."""
        return "up"

    @property
    def whole(self) -> EventSelection | None:
        """The selection of a rate's denominator, None for every other kind."""
        return None

    @property
    def parts(self) -> tuple[EventSelection, ...]:
        """The selections whose events it counts."""
        return (self.on,) if self.whole is None else (self.on, self.whole)

    @property
    def least_events(self) -> float:
        """Events in an hour below which it cannot fire, if it looks for more of them."""
        return 1

    @property
    def learning_minutes(self) -> int:
        """Minutes that must be counted before it can tell news from what was there already; 0 for none."""
        return 0

    @property
    def forgotten_after(self) -> int:
        """Minutes of silence after which a series begins anew."""
        return FORGOTTEN_AFTER


class FloorRatio(_Rule, frozen=True, kw_only=True, tag="floor_ratio"):
    """Fires when a window has at least `floor` events and at least `ratio` times its baseline."""

    window: Minutes = 5
    floor: Count = 30
    ratio: Ratio = 3.0
    baseline: Baseline = Baseline()

    def __post_init__(self) -> None:
        _check_reads(self.window, self.baseline)

    @property
    def learning_minutes(self) -> int:
        """Until window and baseline are counted whole: missing minutes count as zero, and exaggerate."""
        return max(KNOWN_AFTER, self.window + self.baseline.length)

    @property
    def least_events(self) -> float:
        """As many as the window needs."""
        return self.floor


class Drop(_Rule, frozen=True, kw_only=True, tag="drop"):
    """Fires when a window has at most `ceiling` events and its baseline is at least the minimum."""

    window: Minutes = 15
    ceiling: Count = 10
    baseline: Baseline = Baseline(minimum=40.0)

    def __post_init__(self) -> None:
        _check_reads(self.window, self.baseline)

    @property
    def learning_minutes(self) -> int:
        """Source: docs/concepts/detection.md."""
        return KNOWN_AFTER

    @property
    def watched_direction(self) -> Direction:
        """A fall."""
        return "down"


class RuleWindow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A length in minutes over which counts are compared with the expectation: to 60, or whole hours.

    Up: at least `floor` events and at least `ratio` times the expectation. Down: at least `floor` events
    expected and at most `ratio` of them. `against` names the level: of the last hours, of the last days,
    or the more careful of the two.
    """

    length: Annotated[int, Meta(ge=1, le=720)]
    floor: Annotated[float, Meta(ge=1, le=1_000_000)]
    ratio: Ratio
    significance: Annotated[float, Meta(ge=2, le=50)] = 6.0
    against: Against = "both"
    spread: Annotated[int, Meta(ge=1, le=60)] = 1

    def __post_init__(self) -> None:
        if self.length > 60 and self.length % 60:
            raise _impossible("length", "above 60 minutes write whole hours, like 120 or 2h")
        if self.against == "today" and self.length <= 60:
            raise _impossible(
                "against", "today needs a length above 60 minutes; write 2h or more, or leave it out"
            )
        if self.spread > self.length:
            problem = f"a window has no more minutes than its length; write at most {self.length}"
            raise _impossible("spread", problem)


class Seasonal(_Rule, frozen=True, kw_only=True, tag="seasonal"):
    """Fires when a window is unusual for the hour of the week. `opens: verdict` only confirms A and B."""

    direction: Direction = "up"
    windows: Annotated[tuple[RuleWindow, ...], Meta(min_length=1, max_length=16)]
    guard: Annotated[float, Meta(ge=0, le=10)] = 1.2
    opens: Literal["incident", "verdict"] = "incident"

    def __post_init__(self) -> None:
        if self.direction == "up" and any(window.length > 60 for window in self.windows):
            raise _impossible("windows.length", "direction up looks at 60 minutes at most; write 60 or less")

    @property
    def change(self) -> WatchedChange:
        """A rise or a fall."""
        return "seasonal_up" if self.direction == "up" else "seasonal_down"

    @property
    def watched_direction(self) -> Direction:
        """As the rule says."""
        return self.direction

    @property
    def least_events(self) -> float:
        """As many as the most modest window needs."""
        return min(window.floor for window in self.windows)


class Rate(_Rule, frozen=True, kw_only=True, tag="rate"):
    """Fires when the share of `on` among `of` is surely at least `limit`.

    "Surely": the lower end of Wilson's interval at 3 standard errors.
    """

    of: EventSelection
    per: Annotated[tuple[Attribute, ...], Meta(max_length=6)] = ("route", "environment")
    window: Minutes = 15
    limit: Annotated[float, Meta(gt=0, le=1)] = 0.05
    floor: Annotated[int, Meta(ge=1, le=1_000_000)] = 100

    @property
    def whole(self) -> EventSelection | None:
        """The events of which `on` selects a share."""
        return self.of


class Absence(_Rule, frozen=True, kw_only=True, tag="absence"):
    """Fires when no event came for `after` minutes, after at least one in the last 14 days."""

    after: Annotated[int, Meta(ge=1, le=10_080)] = 20

    @property
    def watched_direction(self) -> Direction:
        """Silence is a fall."""
        return "down"


class NewSeries(_Rule, frozen=True, kw_only=True, tag="new_series"):
    """Fires when a series is new, or silent for `silent_days`, and has `floor` events in the window."""

    window: Minutes = 15
    floor: Annotated[int, Meta(ge=1, le=1_000_000)] = 10
    silent_days: Annotated[int, Meta(ge=1, le=35)] = 14

    @property
    def learning_minutes(self) -> int:
        """At first every series is new to it."""
        return KNOWN_AFTER

    @property
    def forgotten_after(self) -> int:
        """As the rule says: a series that returns is new."""
        return self.silent_days * DAY

    @property
    def least_events(self) -> float:
        """As many as the window needs."""
        return self.floor


Rule = FloorRatio | Drop | Seasonal | Rate | Absence | NewSeries


def _check_reads(window: int, baseline: Baseline) -> None:
    if window + baseline.length > MINUTES_READ:
        problem = (
            f"with window it has more than {MINUTES_READ} minutes; write at most {MINUTES_READ - window}"
        )
        raise _impossible("baseline.length", problem)


def _impossible(field: str, problem: str) -> ValueError:
    """Return the error of two fields that exclude each other: the path of the one to change, and a remedy."""
    return ValueError(f"{field}: {problem}")
