"""Compares wanted manifests with live objects. Pure."""

from typing import Any

from k8s.operator.cluster import FIELD_MANAGER, Manifest
from k8s.operator.manifests.naming import HASH_ANNOTATION, short_hash


def sealed(wanted: Manifest) -> Manifest:
    """Return the manifest with its own hash, which later reveals fields that are no longer wanted."""
    metadata = wanted["metadata"]
    annotations = metadata.get("annotations", {}) | {HASH_ANNOTATION: short_hash(wanted)}
    return wanted | {"metadata": metadata | {"annotations": annotations}}


def differs(live: Manifest | None, wanted: Manifest) -> bool:
    """Whether the sealed manifest must be applied: the object is missing, outdated, or was changed."""
    return live is None or not _covers(live, wanted)


def has_foreign_fields(live: Manifest) -> bool:
    """Whether another manager alone owns a field of the spec, which applying would leave in place.

    Fields may be shared with the operator: a different value is then seen as drift.
    """
    return len(without_foreign(live)) < len(live["metadata"].get("managedFields", []))


def without_foreign(live: Manifest) -> list[dict[str, Any]]:
    """Return the managedFields entries, except those that alone own a field of the spec."""
    entries = live["metadata"].get("managedFields", [])
    ours: dict[str, Any] = {}
    for entry in entries:
        if entry.get("manager") == FIELD_MANAGER:
            ours = _union(ours, entry.get("fieldsV1", {}).get("f:spec", {}))
    return [entry for entry in entries if not _is_foreign(entry, ours)]


def _is_foreign(entry: dict[str, Any], ours: dict[str, Any]) -> bool:
    theirs = entry.get("fieldsV1", {}).get("f:spec")
    if theirs is None or entry.get("subresource") or entry.get("manager") == FIELD_MANAGER:
        return False
    return not theirs or _reaches_beyond(theirs, ours)


def _union(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    return one | {name: _union(one.get(name, {}), fields) for name, fields in other.items()}


def _reaches_beyond(theirs: dict[str, Any], ours: dict[str, Any]) -> bool:
    """Whether a path of the one tree is not in the other; "." is the node itself."""
    return any(
        name not in ours or _reaches_beyond(fields, ours[name])
        for name, fields in theirs.items()
        if name != "."
    )


def _covers(live: Any, wanted: Any) -> bool:
    """Whether the live object has every wanted value; the API server adds defaults, but not to lists."""
    if isinstance(wanted, dict):
        return isinstance(live, dict) and all(
            name in live and _covers(live[name], value) for name, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(live, list)
            and len(live) == len(wanted)
            and all(_covers(one, other) for one, other in zip(live, wanted, strict=True))
        )
    return bool(live == wanted)
