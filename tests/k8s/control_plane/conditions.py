"""Reading what controllers say about objects."""

from tests.k8s.control_plane.api import Object


def condition(found: Object, kind: str) -> str | None:
    """The condition's status: "True", "False" or "Unknown"; None when it is not there."""
    return _entry(found, kind).get("status")


def reason(found: Object, kind: str) -> str | None:
    """The condition's reason."""
    return _entry(found, kind).get("reason")


def message(found: Object, kind: str) -> str:
    """The condition's sentence."""
    return str(_entry(found, kind).get("message", ""))


def _entry(found: Object, kind: str) -> Object:
    conditions: list[Object] = found.get("status", {}).get("conditions", [])
    return next((entry for entry in conditions if entry["type"] == kind), {})
