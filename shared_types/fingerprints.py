"""Fingerprints, and the metric, minute bucket and partition key of an event, with the grammar of their text.

This module alone writes, escapes and reads the separator `|`. Components are escaped, so that `a|b` + `c`
and `a` + `b|c` differ. Source: docs/requirements.md, R14 and R16.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, Self

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

_ERROR: Final = EventType.ERROR.value
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
        match text.split("|"):
            case [EventType.SIGNUP.value, environment]:
                found = cls(event_type=EventType.SIGNUP, environment=Environment(environment))
            case [error_code, route, environment]:
                found = cls(
                    event_type=EventType.ERROR,
                    environment=Environment(environment),
                    error_code=_unescaped(error_code),
                    route=_unescaped(route),
                )
            case _:
                raise ValueError(f"a fingerprint has two or three parts: {text!r}")
        if found.text != text:
            raise ValueError(f"a fingerprint is written {found.text!r}, not {text!r}")
        return found

    @property
    def text(self) -> str:
        """The fingerprint as it is stored: `error_code|route|environment` or `signup|environment`."""
        return f"{key_tail(self.event_type, self.error_code, self.route)}|{self.environment}"

    @property
    def metric_name(self) -> MetricName:
        """The counter that its events increment."""
        return METRICS[self.event_type]


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
