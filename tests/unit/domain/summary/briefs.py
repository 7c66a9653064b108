"""Briefs for the summary's tests: one believable error spike, and variations of it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

from signals.domain.summary.brief import Brief, BriefEvaluation, BriefEvent, BriefIncident

OPENED_AT = datetime(2026, 3, 4, 12, 5, 7, tzinfo=UTC)
NAMESPACE = UUID("00000000-0000-4000-8000-000000000001")


def event(n: int, **attributes: object) -> BriefEvent:
    """Return event number `n`, one second after the one before it."""
    return BriefEvent(
        event_id=uuid5(NAMESPACE, str(n)),
        occurred_at=OPENED_AT + timedelta(seconds=n),
        event_type="error",
        severity="error",
        attributes=attributes,
    )


def deploy(release: str, minutes_before: float) -> BriefEvent:
    """Return a deploy that happened so long before the incident opened."""
    return BriefEvent(
        event_id=uuid5(NAMESPACE, f"deploy {release}"),
        occurred_at=OPENED_AT - timedelta(minutes=minutes_before),
        event_type="deploy",
        severity="info",
        attributes={"release": release},
    )


SPIKE = Brief(
    incident=BriefIncident(
        incident_id=UUID("00000000-0000-4000-8000-0000000000aa"),
        org_id="org_a",
        project_id="proj_a",
        environment="prod",
        fingerprint="UPSTREAM_TIMEOUT|/checkout|prod",
        status="open",
        severity="error",
        title="UPSTREAM_TIMEOUT on /checkout in prod",
        opened_at=OPENED_AT,
        last_seen_at=OPENED_AT + timedelta(minutes=12),
    ),
    evaluations=(
        BriefEvaluation(
            moment="opened",
            rule="error-spike",
            minute_at=OPENED_AT,
            count=31,
            baseline=2.0,
            threshold=30.0,
            window_minutes=5,
        ),
        BriefEvaluation(
            moment="latest",
            rule="error-spike",
            minute_at=OPENED_AT + timedelta(minutes=12),
            count=1240,
            baseline=2.5,
            threshold=30.0,
            window_minutes=5,
        ),
    ),
    events=tuple(
        event(n, route="/checkout", status_code=503 if n % 4 else 504, release="2026.3.4.1")
        for n in range(20, 0, -1)
    ),
    deploys=(deploy("2026.3.4.1", minutes_before=4), deploy("2026.3.3.9", minutes_before=900)),
)

DROP = replace(
    SPIKE,
    incident=replace(SPIKE.incident, fingerprint="signup|prod"),
    evaluations=(
        BriefEvaluation(
            moment="opened",
            rule="signup-drop",
            minute_at=OPENED_AT,
            count=0,
            baseline=80.25,
            threshold=10.0,
            window_minutes=15,
        ),
    ),
    events=(),
    deploys=(),
)
