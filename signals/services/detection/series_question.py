"""A series that a question names by its attributes, and how its events are counted."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from shared_types import Environment, EventType, Fingerprint, Tenancy
from shared_types.grouping import group_code, group_route
from signals.domain.detection.buckets import Series
from signals.domain.detection.own_rules import conditions_of
from signals.domain.detection.rule_types import Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesQuestion:
    """A series by its attributes, and an instant; `received_at` is the event's, if one was asked about.

    `more` holds the values of further attributes, as far as they are known.
    """

    event_type: EventType
    environment: Environment
    error_code: str | None
    route: str | None
    at: datetime
    received_at: datetime | None = None
    more: Mapping[str, str | None] = field(default_factory=dict)


def selects(rule: Rule, question: SeriesQuestion) -> bool:
    """Say whether the rule counts such events, of a rate in either part, as far as attributes are known."""
    values = values_of(question)
    return any(
        part.event_type == question.event_type
        and all(
            name not in values or values[name] in allowed for name, allowed in conditions_of(part).items()
        )
        for part in rule.parts
    )


def values_of(question: SeriesQuestion) -> Mapping[str, str | None]:
    """Return the attributes that are asked about as events are counted by them: ids are grouped."""
    return {
        "environment": question.environment.value,
        "error_code": group_code(question.error_code) if question.error_code else None,
        "route": group_route(question.route) if question.route else None,
        **question.more,
    }


def series_of(tenancy: Tenancy, question: SeriesQuestion) -> Series:
    """Return the series as events of these attributes are counted: ids in them are grouped."""
    is_error = question.event_type is EventType.ERROR
    one = Fingerprint(
        event_type=EventType.ERROR if is_error else EventType.SIGNUP,
        environment=question.environment,
        error_code=group_code(question.error_code) if is_error and question.error_code else None,
        route=group_route(question.route) if is_error and question.route else None,
    )
    return Series(tenancy.project_id, one.environment.value, one.metric_name, one.text, tenancy.org_id)
