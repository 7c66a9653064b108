"""The answer to a preview: incidents as plain data, with the numbers of their opening."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from signals.domain.detection.buckets import instant_of
from signals.domain.detection.verdict import RuleCondition
from signals.domain.incidents.episode import Episode, IncidentVerdict, ResolveReason
from signals.services.detection.replay import WatchedSeries


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewCondition:
    """One comparison of the rule at the opening: what it had, what it needed."""

    name: str
    have: float
    compared: str
    need: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewedIncident:
    """An incident that the rule would have opened; `resolved_at` is None while it would be open still.

    `count` events came in `minutes`; `usual` is None when the series was new.
    """

    series: Mapping[str, str]
    opened_at: datetime
    resolved_at: datetime | None
    resolved_because: ResolveReason | None
    verdict: IncidentVerdict
    count: int
    minutes: int
    usual: float | None
    conditions: list[PreviewCondition]


@dataclass(frozen=True, slots=True, kw_only=True)
class RulePreview:
    """The incidents that a draft would have opened from `since` to `until`, in order of opening.

    `incidents` are the first `MAX_INCIDENTS` of `total`. `counted_since` is the first minute with an event,
    None without any. `series` were judged; `series_left_out` were not, those with the fewest events.
    `missing` says in sentences which data the answer lacks.
    """

    name: str
    since: datetime
    until: datetime
    counted_since: datetime | None
    series: int
    series_left_out: int
    total: int
    incidents_a_week: float
    incidents: list[PreviewedIncident]
    missing: list[str]


def condition_of(one: RuleCondition) -> PreviewCondition:
    """Write a condition with numbers as people read them."""
    return PreviewCondition(
        name=one.name, have=round(float(one.have), 2), compared=one.compared, need=round(float(one.need), 2)
    )


def previewed(watched: WatchedSeries, episode: Episode) -> PreviewedIncident:
    """Write an incident of a replay as an answer."""
    opened = episode.confirmed_by or episode.opened
    return PreviewedIncident(
        series=watched.attributes,
        opened_at=instant_of(episode.opened_at),
        resolved_at=None if episode.resolved_at is None else instant_of(episode.resolved_at),
        resolved_because=episode.reason,
        verdict=episode.verdict,
        count=opened.count,
        minutes=opened.length,
        usual=None if episode.is_new else round(opened.normal, 2),
        conditions=[condition_of(one) for one in opened.conditions],
    )
