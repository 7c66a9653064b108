"""Fingerprints, and the metric, minute bucket and partition key of an event, with the grammar of their text.

This module alone writes, escapes and reads the separator `|`. Components are escaped, so that `a|b` + `c`
and `a` + `b|c` differ. Source: docs/requirements.md, R14 and R16.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, Self, get_args

from shared_types.envelope import TENANT_ID_PATTERN, Envelope
from shared_types.vocabulary import Environment, EventType

MetricName = Literal["error_count", "signup_count"]

METRICS: Final[Mapping[EventType, MetricName]] = {
    EventType.ERROR: "error_count",
    EventType.SIGNUP: "signup_count",
}
"""The counter that an event type increments; other types are not counted."""

MISSING: Final = "-"
"""Stands for an absent component; a component that really is `-` is written `%2D`."""

WatchedChange = Literal[
    "floor_ratio", "drop", "seasonal_up", "seasonal_down", "rate", "absence", "new_series"
]
"""What a rule looks for: its kind, and for a seasonal one its direction."""

ALL_ENVIRONMENTS: Final = "all"
"""Stands for the environment of a rule's series that joins several."""

OTHER: Final = "other"
"""Ends the fingerprint of the series that holds what a rule's bound leaves out."""

RULE_PREFIX: Final = "rule:"
"""Begins the name of a counter, and of the fingerprints, of a rule that people wrote."""

RULE_NAME: Final = "[a-z][a-z0-9-]{0,62}"
"""Pattern of a rule's name."""

_ERROR: Final = EventType.ERROR.value
_ENVIRONMENTS: Final = frozenset(one.value for one in Environment)
_RULE_METRIC: Final = re.compile(rf"rule:({RULE_NAME}):([1-9][0-9]{{0,8}})")
_TENANT_ID: Final = re.compile(TENANT_ID_PATTERN.encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """The incident that an event belongs to: the events of one type, environment and, for errors, place.

    `error_code` and `route` are the event's, without ids; None when absent, and for signups always.
    """

    event_type: Literal[EventType.ERROR, EventType.SIGNUP]
    environment: Environment
    error_code: str | None = None
    route: str | None = None

    @classmethod
    def of(cls, envelope: Envelope) -> Self | None:
        """Return the fingerprint of an event, None for events that are not counted."""
        match envelope.event_type:
            case EventType.ERROR:
                attributes = envelope.attributes
                return cls(
                    event_type=EventType.ERROR,
                    environment=envelope.environment,
                    error_code=attributes.error_code,
                    route=attributes.route,
                )
            case EventType.SIGNUP:
                return cls(event_type=EventType.SIGNUP, environment=envelope.environment)
            case _:
                return None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `text` wrote.

        Raises:
            ValueError: when the text is no fingerprint.
        """
        found = cls.understood(text)
        if found.text != text:
            raise ValueError(f"a fingerprint is written {found.text!r}, not {text!r}")
        return found

    @classmethod
    def understood(cls, text: str) -> Self:
        """Read a fingerprint as people write it: the environment by any of its names.

        Raises:
            ValueError: when the text is none.
        """
        match text.split("|"):
            case [EventType.SIGNUP.value, environment]:
                return cls(event_type=EventType.SIGNUP, environment=Environment(environment))
            case [error_code, route, environment]:
                return cls(
                    event_type=EventType.ERROR,
                    environment=Environment(environment),
                    error_code=_unescaped(error_code),
                    route=_unescaped(route),
                )
            case _:
                raise ValueError(f"a fingerprint has two or three parts: {text!r}")

    @property
    def text(self) -> str:
        """The fingerprint as it is stored: `error_code|route|environment` or `signup|environment`."""
        return f"{key_tail(self.event_type, self.error_code, self.route)}|{self.environment}"

    @property
    def metric_name(self) -> MetricName:
        """The counter that its events increment."""
        return METRICS[self.event_type]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFingerprint:
    """A series of a rule that people wrote: `values` are the attributes that all its events share.

    `since` is the version of the rule from which it counts without a gap, `kind` what it looks for. A value
    is None where events lack the attribute. `is_other`: events of all series beyond the rule's bound.
    """

    rule: str
    since: int
    kind: WatchedChange
    event_type: EventType
    values: tuple[tuple[str, str | None], ...] = ()
    is_other: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `text` wrote.

        Raises:
            ValueError: when the text is no fingerprint of a rule's series.
        """
        head, kind, event_type, *parts = [*text.split("|"), *[""] * max(0, 2 - text.count("|"))]
        named = _RULE_METRIC.fullmatch(head)
        change = next((one for one in get_args(WatchedChange) if one == kind), None)
        if named is None or change is None:
            raise ValueError(f"a rule's series is written rule:NAME:VERSION|KIND|EVENT_TYPE, not {text!r}")
        is_other = parts[-1:] == [OTHER]
        pairs = [part.partition("=") for part in (parts[:-1] if is_other else parts)]
        found = cls(
            rule=named[1],
            since=int(named[2]),
            kind=change,
            event_type=EventType(event_type),
            values=tuple((name, _unescaped(value)) for name, _, value in pairs),
            is_other=is_other,
        )
        if found.text != text:
            raise ValueError(f"a rule's series is written {found.text!r}, not {text!r}")
        return found

    @property
    def text(self) -> str:
        """The fingerprint as it is stored: `rule:NAME:VERSION|KIND|EVENT_TYPE|attribute=value|...`."""
        pairs = [f"{name}={_escaped(value)}" for name, value in self.values]
        return "|".join(
            (self.metric_name, self.kind, self.event_type.value, *pairs, *((OTHER,) * self.is_other))
        )

    @property
    def metric_name(self) -> str:
        """The counter of the rule."""
        return rule_metric(self.rule, self.since)

    @property
    def watches_fall(self) -> bool:
        """Whether fewer events are bad, instead of more."""
        return self.kind in ("drop", "absence", "seasonal_down")

    @property
    def has_normal(self) -> bool:
        """Whether its rule compares with what is usual, instead of with a bound."""
        return self.kind in ("floor_ratio", "drop", "seasonal_up", "seasonal_down")

    @property
    def environment(self) -> Environment | None:
        """The environment of its events, None when it joins several."""
        value = self.value("environment")
        return None if value is None else Environment(value)

    @property
    def error_code(self) -> str | None:
        """The error code that its events share, if they do."""
        return self.value("error_code")

    @property
    def route(self) -> str | None:
        """The route that its events share, if they do."""
        return self.value("route")

    def value(self, attribute: str) -> str | None:
        """Return the value that its events share of an attribute, None without one."""
        return dict(self.values).get(attribute)


SeriesFingerprint = Fingerprint | RuleFingerprint


def read_fingerprint(text: str) -> SeriesFingerprint:
    """Read a fingerprint of either sort: one of an event ends with an environment, one of a rule never does.

    Raises:
        ValueError: when the text is none.
    """
    if text.rpartition("|")[2] in _ENVIRONMENTS:
        return Fingerprint.parse(text)
    return RuleFingerprint.parse(text)


def rule_metric(rule: str, since: int) -> str:
    """Name the counter of a rule that counts since a version."""
    return f"{RULE_PREFIX}{rule}:{since}"


def fingerprint(envelope: Envelope) -> str | None:
    """Return the text of an event's fingerprint, None for events that are not counted."""
    if envelope.event_type not in METRICS:
        return None
    attributes = envelope.attributes  # without a `Fingerprint`: making one costs as much as all the rest
    return f"{key_tail(envelope.event_type, attributes.error_code, attributes.route)}|{envelope.environment}"


def metric_name(envelope: Envelope) -> MetricName | None:
    """Name the counter this event increments, None for events that are not counted."""
    return METRICS.get(envelope.event_type)


def bucket_start(envelope: Envelope) -> datetime:
    """Return the UTC minute in which the event occurred."""
    return envelope.occurred_at.replace(second=0, microsecond=0)


def partition_key(envelope: Envelope) -> str:
    """Return the Kafka key: `org|project|error_code|route` for errors, else `org|project|event_type`.

    All events of one fingerprint of a project share one key, hence one partition.
    """
    attributes = envelope.attributes
    tail = key_tail(envelope.event_type, attributes.error_code, attributes.route)
    return f"{key_prefix(envelope.org_id, envelope.project_id)}{tail}"


def key_prefix(org_id: str, project_id: str) -> str:
    """Return the start of a Kafka key, which all events of a project share."""
    return f"{org_id}|{project_id}|"  # tenant ids hold no separator, by their pattern in the envelope


def key_tail(event_type: str, error_code: str | None, route: str | None) -> str:
    """Return the end of a Kafka key, which a fingerprint begins with."""
    if event_type != _ERROR:
        return event_type
    return f"{_escaped(error_code)}|{_escaped(route)}"


def project_of(key: bytes | None) -> str:
    """Return the project that a Kafka key names, empty when it names none."""
    parts = (key or b"").split(b"|", 2)
    if len(parts) < 2 or not _TENANT_ID.fullmatch(parts[1]):
        return ""
    return parts[1].decode()


def _escaped(component: str | None) -> str:
    """Write one component, so that the separator cannot stand in it."""
    if component is None:
        return MISSING
    if component == MISSING:
        return "%2D"
    return component.replace("%", "%25").replace("|", "%7C")


def _unescaped(component: str) -> str | None:
    """Read one component; every literal `%` is written `%25`, so that is replaced last."""
    if component == MISSING:
        return None
    return component.replace("%7C", "|").replace("%2D", MISSING).replace("%25", "%")
