"""Conditions after Kubernetes' conventions: verdicts of one pass, merged into the earlier conditions."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

ConditionStatus = Literal["True", "False", "Unknown"]
Written = Mapping[str, Any]
"""A condition as the API server keeps it."""

ALWAYS: Final = (
    "Accepted",
    "ResolvedRefs",
    "DependenciesReachable",
    "Migrated",
    "TopicsReady",
    "ServeReady",
    "ConsumersReady",
    "Ready",
)
WHEN_TRUE: Final = (
    "Paused",
    "Suspended",
    "PlanPending",
    "Stalled",
    "Degraded",
    "CertificateExpiring",
    "ModelUnavailable",
)
MAX_MESSAGE: Final = 2048  # the CRD allows more; longer messages are not read


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionVerdict:
    """The verdict of one pass on one condition.

    A `pending` verdict is not decided yet: the earlier condition stays until then.
    """

    type: str
    status: ConditionStatus
    reason: str
    message: str
    pending: bool = False


def yes(condition: str, reason: str, message: str) -> ConditionVerdict:
    """The condition is true."""
    return ConditionVerdict(type=condition, status="True", reason=reason, message=message)


def no(condition: str, reason: str, message: str) -> ConditionVerdict:
    """The condition is false."""
    return ConditionVerdict(type=condition, status="False", reason=reason, message=message)


def unknown(condition: str, reason: str, message: str, *, pending: bool = True) -> ConditionVerdict:
    """The condition cannot be decided, or not yet."""
    return ConditionVerdict(type=condition, status="Unknown", reason=reason, message=message, pending=pending)


def held(verdict: ConditionVerdict, before: Written | None) -> ConditionVerdict:
    """Return the earlier condition while the verdict is pending."""
    if not verdict.pending or before is None or before["status"] == "Unknown":
        return verdict
    return kept(before)


def rejected(faults: str, before: Iterable[Written]) -> list[ConditionVerdict]:
    """Judge a stack whose spec cannot be read: nothing was changed, so the earlier conditions stay."""
    known = {condition["type"]: condition for condition in before}
    unjudged = [
        held(unknown(name, "Invalid", "the spec cannot be read"), known.get(name)) for name in ALWAYS[1:-1]
    ]
    serves = "Ready" in known and known["Ready"]["status"] == "True"
    ready = kept(known["Ready"]) if serves else no("Ready", "Invalid", faults)
    special = [kept(condition) for name, condition in known.items() if name not in ALWAYS]
    return [no("Accepted", "Invalid", faults), *unjudged, ready, *special]


def kept(condition: Written) -> ConditionVerdict:
    """Return the earlier condition as the verdict of this pass."""
    return ConditionVerdict(**{name: condition[name] for name in ("type", "status", "reason", "message")})


def merged(
    before: Iterable[Written], verdicts: Iterable[ConditionVerdict], *, generation: int, now: datetime
) -> list[dict[str, Any]]:
    """Return the conditions to write; `lastTransitionTime` moves only where the status does."""
    known = {condition["type"]: condition for condition in before}
    return [_written(verdict, known.get(verdict.type), generation, now) for verdict in verdicts]


def _written(
    verdict: ConditionVerdict, before: Written | None, generation: int, now: datetime
) -> dict[str, Any]:
    flipped = before is None or before["status"] != verdict.status
    return {
        "type": verdict.type,
        "status": verdict.status,
        "reason": verdict.reason,
        "message": verdict.message[:MAX_MESSAGE],
        "lastTransitionTime": timestamp(now) if before is None or flipped else before["lastTransitionTime"],
        "observedGeneration": generation,
    }


def timestamp(instant: datetime) -> str:
    """Write an instant as Kubernetes does."""
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


def instant(text: str) -> datetime:
    """Read an instant that Kubernetes wrote."""
    return datetime.fromisoformat(text)
