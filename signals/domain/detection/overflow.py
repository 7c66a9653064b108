"""The one series that counts what a project's fingerprints beyond the hourly bound have in common."""

from typing import Final

from shared_types import Environment, EventType, Fingerprint
from shared_types.grouping import MANY
from signals.domain.detection.buckets import Series

MOST_NEW_SERIES: Final = 500  # fingerprints of errors, an hour and project (issue)


def is_overflow(series: Series) -> bool:
    """Say whether a series counts the rest of its environment."""
    return series.fingerprint == _fingerprint(series.environment)


def overflow_of(series: Series) -> Series:
    """Return the series that counts in the place of one that is too many."""
    return Series(
        series.project_id,
        series.environment,
        series.metric_name,
        _fingerprint(series.environment),
        series.org_id,
    )


def _fingerprint(environment: str) -> str:
    return Fingerprint(
        event_type=EventType.ERROR, environment=Environment(environment), error_code=MANY, route=MANY
    ).text
