"""Kubernetes Events about the changes that matter to people, decided from conditions before and after."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from k8s.operator.cluster import FIELD_MANAGER, Manifest
from k8s.operator.conditions import Written, timestamp
from k8s.operator.manifests.naming import short_hash

GOOD_NEWS: Final = frozenset({"Ready", "Migrated", "DependenciesReachable"})
BAD_NEWS: Final = frozenset({"ResolvedRefs", "DependenciesReachable", "Migrated", "Accepted"})
WARNINGS: Final = frozenset({"Stalled", "Degraded", "CertificateExpiring", "ModelUnavailable"})
NOTES: Final = frozenset({"Paused", "Suspended", "PlanPending"})
MAX_MESSAGE: Final = 1024  # the API server's own limit


def changes(before: Iterable[Written], after: Iterable[Written]) -> list[tuple[str, str, str]]:
    """Return (type, reason, message) of each condition that changed and matters to people."""
    known = {condition["type"]: condition for condition in before}
    changed = [c for c in after if _key(c) != _key(known.get(c["type"]))]
    found = []
    for condition in changed:
        name, status = condition["type"], condition["status"]
        was = known.get(name)
        if name in WARNINGS | NOTES:
            kind = "Warning" if name in WARNINGS else "Normal"
        elif status == "True" and name in GOOD_NEWS and (was is None or was["status"] != "True"):
            kind = "Normal"
        elif status == "False" and (
            name in BAD_NEWS or (name == "Ready" and was and was["status"] == "True")
        ):
            kind = "Warning"
        else:
            continue
        found.append((kind, f"{name}{'' if status == 'True' else status}", _sentence(condition)))
    return found


def _key(condition: Written | None) -> tuple[str, str] | None:
    return (condition["status"], condition["reason"]) if condition else None


def _sentence(condition: Written) -> str:
    return f"{condition['reason']}: {condition['message']}"[:MAX_MESSAGE]


def event(about: Manifest, kind: str, reason: str, message: str, now: datetime) -> Manifest:
    """Build the Event; a change repeated within one second gets the same name and so appears once."""
    metadata: Mapping[str, Any] = about["metadata"]
    at = timestamp(now)
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{metadata['name']}.{short_hash([reason, message, at])}",
            "namespace": metadata["namespace"],
        },
        "involvedObject": {
            "apiVersion": about["apiVersion"],
            "kind": about["kind"],
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
        },
        "type": kind,
        "reason": reason,
        "message": message,
        "source": {"component": FIELD_MANAGER},
        "firstTimestamp": at,
        "lastTimestamp": at,
        "count": 1,
    }
