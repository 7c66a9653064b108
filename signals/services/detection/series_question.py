"""A series that a question names by its attributes, and how its events are counted."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from shared_types import Environment, EventType, Fingerprint, Tenancy
from shared_types.grouping import group_code, group_route
from signals.domain.detection.buckets import Series
from signals.domain.detection.rule_types import Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesQuestion:
    """A series by its attributes, and an instant; `received_at` is the event's, if one was asked about."""

    event_type: EventType
    environment: Environment
    error_code: str | None
    route: str | None
    at: datetime
    received_at: datetime | None = None


def selects(rule: Rule, question: SeriesQuestion) -> bool:
    """Say whether a rule's conditions allow the attributes that are asked about."""
    if rule.on.event_type != question.event_type:
        return False
    asked = ((rule.on.environment, question.environment), (rule.on.error_code, question.error_code))
    return all(not values or value in values for values, value in (*asked, (rule.on.route, question.route)))


def values_of(question: SeriesQuestion) -> Mapping[str, str | None]:
    """Return the attributes that are asked about as events are counted by them: ids are grouped."""
    return {
        "environment": question.environment.value,
        "error_code": group_code(question.error_code) if question.error_code else None,
        "route": group_route(question.route) if question.route else None,
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
