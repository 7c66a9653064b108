"""Facts of a healthy stack, for tests that change one of them."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from k8s.operator.observed import JobState, RayState
from k8s.operator.plan import Plan
from k8s.operator.readiness import ConsumersReadiness
from k8s.operator.secrets import SecretsView
from k8s.operator.verdicts import StackFacts, judge
from tests.unit.k8s.specs import DOKS, parsed

NOW: Final = datetime(2026, 1, 1, 12, tzinfo=UTC)
SUCCEEDED: Final = JobState(state="succeeded")
SERVING: Final = RayState(exists=True, ready=True, reason="NonZeroServeEndpoints", cluster="demo-1", plan="p")
WELL: Final = StackFacts(
    spec=parsed(DOKS),
    now=NOW,
    secrets=SecretsView(digest="d"),
    preflight=SUCCEEDED,
    prepare=SUCCEEDED,
    ray=SERVING,
    plan=Plan(wanted="p", applied="p", pending=False),
    applied_at=NOW,
    readiness=ConsumersReadiness(expected=7, engines=3, lag=0),
)


def well(**change: Any) -> StackFacts:
    """Return the facts of a healthy stack with these changes."""
    return replace(WELL, **change)


def judged(facts: StackFacts, before: list[dict[str, Any]] | None = None) -> dict[str, tuple[str, str, str]]:
    """Return status, reason and message by condition."""
    return {v.type: (v.status, v.reason, v.message) for v in judge(facts, before or [])}
