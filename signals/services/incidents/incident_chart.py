"""Draws the minutes around an incident with the deploys of that time, and tells how it began."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from shared_types import read_fingerprint
from shared_types.fingerprints import ALL_ENVIRONMENTS
from signals.clients.postgres import Connection
from signals.domain.deploys.beginning import BEFORE, IncidentBeginning, beginning_of
from signals.domain.deploys.deploy import Deploy, DeployStatus
from signals.domain.detection.buckets import BucketRange, Series, instant_of, minute_of
from signals.domain.detection.counted import counted_in
from signals.domain.incidents.charts import MinuteCount, chart_range, fill
from signals.services.incidents.incident_reason import IncidentReason
from signals.store.deploys import deploys
from signals.store.deploys.deploys import DeployFilter
from signals.store.detection import buckets
from signals.store.incidents.incident_views import Incident

MAX_DEPLOYS: Final = 50  # guess: near one incident; of more, the newest are shown


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployMark:
    """A deploy to the incident's environment, to be drawn into its chart."""

    id: UUID
    at: datetime
    release: str | None
    service: str | None
    status: DeployStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Events a minute around the incident, against what was usual when it opened (None: unknown).

    `metric` is `error_count`, `signup_count`, or that of a rule that people wrote, `rule:NAME:VERSION`.
    `deploys` are those of the same minutes, oldest first.
    """

    metric: str
    baseline_per_minute: float | None
    minutes: list[MinuteCount]
    deploys: list[DeployMark]


def draw(
    connection: Connection, incident: Incident, why: IncidentReason | None
) -> tuple[Chart, IncidentBeginning | None]:
    """Return the chart around an incident, and how it began: None when an earlier release kept no reason."""
    shown = _shown(incident)
    near = _deploys_near(connection, shown)
    [counts] = buckets.read(connection, [shown])
    return _chart(shown, counts, why, near), _began(shown, counts, why, near)


def _shown(incident: Incident) -> BucketRange:
    metric = read_fingerprint(incident.fingerprint).metric_name
    series = Series(incident.project_id, incident.environment, metric, incident.fingerprint, incident.org_id)
    return chart_range(series, incident.opened_at, incident.last_seen_at)


def _deploys_near(connection: Connection, shown: BucketRange) -> list[Deploy]:
    """Return the deploys of the shown minutes and of the hour before them, newest first."""
    environment = shown.series.environment
    wanted = DeployFilter(
        project_id=shown.series.project_id,
        environment=None if environment == ALL_ENVIRONMENTS else environment,
        since=instant_of(shown.start) - BEFORE,
        until=instant_of(shown.end),
    )
    return deploys.list_deploys(connection, wanted, limit=MAX_DEPLOYS)


def _chart(
    shown: BucketRange, counts: Mapping[int, int], why: IncidentReason | None, near: Sequence[Deploy]
) -> Chart:
    return Chart(
        metric=shown.series.metric_name,
        baseline_per_minute=(why.normal / why.window_minutes if why and why.normal is not None else None),
        minutes=fill(counts, shown),
        deploys=[
            DeployMark(
                id=deploy.event_id,
                at=deploy.occurred_at,
                release=deploy.release,
                service=deploy.service,
                status=deploy.status,
            )
            for deploy in reversed(near)
            if deploy.occurred_at >= instant_of(shown.start)
        ],
    )


def _began(
    shown: BucketRange, counts: Mapping[int, int], why: IncidentReason | None, near: Sequence[Deploy]
) -> IncidentBeginning | None:
    if why is None:
        return None
    return beginning_of(
        counts,
        minute_of(why.opened.minute_at),
        is_drop=counted_in(read_fingerprint(shown.series.fingerprint)).direction == "down",
        deploys=near,
    )
