"""What an event counts towards and where it travels: fingerprint, metric, bucket and partition key.

Components are escaped, so that `a|b` + `c` and `a` + `b|c` differ. Source: specification, "Canonical
rules" and "Kafka key".
"""

from datetime import datetime
from typing import Final, Literal

from shared_types.envelope import Envelope
from shared_types.vocabulary import EventType

MetricName = Literal["error_count", "signup_count"]

MISSING: Final = "-"
"""Stands for an absent component; a component that really is `-` is written `%2D`."""


def fingerprint(envelope: Envelope) -> str | None:
    """Name the incident this event would belong to: `error_code|route|environment`, `signup|environment`.

    None for events that are not counted.
    """
    match envelope.event_type:
        case EventType.ERROR:
            return f"{_error_parts(envelope)}|{envelope.environment}"
        case EventType.SIGNUP:
            return f"signup|{envelope.environment}"
        case _:
            return None


def metric_name(envelope: Envelope) -> MetricName | None:
    """Name the counter this event increments, None for events that are not counted."""
    match envelope.event_type:
        case EventType.ERROR:
            return "error_count"
        case EventType.SIGNUP:
            return "signup_count"
        case _:
            return None


def bucket_start(envelope: Envelope) -> datetime:
    """Return the UTC minute in which the event occurred."""
    return envelope.occurred_at.replace(second=0, microsecond=0)


def partition_key(envelope: Envelope) -> str:
    """Return the Kafka key: `org|project|error_code|route` for errors, else `org|project|event_type`.

    All events of one fingerprint of a project share one key, hence one partition.
    """
    is_error = envelope.event_type is EventType.ERROR
    tail = _error_parts(envelope) if is_error else envelope.event_type.value
    # Tenant ids hold no separator, by their pattern in the envelope.
    return f"{envelope.org_id}|{envelope.project_id}|{tail}"


def escape(component: str | None) -> str:
    """Write one component of a key or fingerprint, so that its separator cannot stand in it."""
    if component is None:
        return MISSING
    if component == MISSING:
        return "%2D"
    return component.replace("%", "%25").replace("|", "%7C")


def _error_parts(envelope: Envelope) -> str:
    attributes = envelope.attributes
    return f"{escape(attributes.error_code)}|{escape(attributes.route)}"
