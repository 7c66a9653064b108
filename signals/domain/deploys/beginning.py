"""The first bad minute of an incident, and the deploys just before it. Time order, never a proof."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from signals.domain.deploys.deploy import Deploy
from signals.domain.detection.buckets import instant_of, minute_of
from signals.domain.findings.onset import fall, rise

BEFORE: Final = timedelta(minutes=60)  # guess: older deploys rarely are the cause
AFTER: Final = timedelta(minutes=1)  # a marker is sent when the deploy is through, errors may come before
BESIDE: Final = timedelta(minutes=15)  # other services' deploys so near to the newest are named as well
MAX_NAMED: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployBefore:
    """A deploy near the first bad minute, `minutes_before` it by whole minutes of the clock; 0 within it."""

    id: UUID
    release: str | None
    service: str | None
    at: datetime
    minutes_before: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentBeginning:
    """When it began, and after what: `deploys` is empty when none came in the hour before."""

    first_bad_at: datetime
    deploys: list[DeployBefore]


def beginning_of(
    counts: Mapping[int, int], fired: int, *, is_drop: bool, deploys: Iterable[Deploy]
) -> IncidentBeginning:
    """Find when an incident began whose rule fired first at the minute `fired`, from its series' counts.

    Minutes are since the epoch; `deploys` are of its environment.
    """
    change = (fall if is_drop else rise)(counts, fired)
    return IncidentBeginning(
        first_bad_at=instant_of(change.minute), deploys=_before(instant_of(change.minute), deploys)
    )


def _before(first_bad_at: datetime, deploys: Iterable[Deploy]) -> list[DeployBefore]:
    near = sorted(
        (d for d in deploys if first_bad_at - BEFORE <= d.occurred_at < first_bad_at + AFTER),
        key=lambda deploy: (deploy.occurred_at, deploy.event_id),
        reverse=True,
    )
    newest: dict[str | None, Deploy] = {}
    for deploy in near:
        if near[0].occurred_at - deploy.occurred_at <= BESIDE:
            newest.setdefault(deploy.service, deploy)
    return [
        DeployBefore(
            id=deploy.event_id,
            release=deploy.release,
            service=deploy.service,
            at=deploy.occurred_at,
            minutes_before=max(0, minute_of(first_bad_at) - minute_of(deploy.occurred_at)),
        )
        for deploy in list(newest.values())[:MAX_NAMED]
    ]
