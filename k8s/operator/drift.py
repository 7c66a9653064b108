"""Whether an object is as it should be: pure comparison of what is wanted with what the API server has."""

from typing import Any

from k8s.operator.cluster import FIELD_MANAGER, Manifest
from k8s.operator.manifests.naming import HASH_ANNOTATION, short_hash


def sealed(wanted: Manifest) -> Manifest:
    """Return the manifest with its own hash, which tells later whether a field is no longer wanted."""
    metadata = wanted["metadata"]
    annotations = metadata.get("annotations", {}) | {HASH_ANNOTATION: short_hash(wanted)}
    return wanted | {"metadata": metadata | {"annotations": annotations}}


def differs(live: Manifest | None, wanted: Manifest) -> bool:
    """Whether the sealed manifest must be applied: missing, once wanted otherwise, or changed since."""
    return live is None or not _covers(live, wanted)


def has_foreign_fields(live: Manifest) -> bool:
    """Whether somebody else set a field of the spec, which applying ours would leave in place."""
    return any(
        entry.get("manager") != FIELD_MANAGER
        and not entry.get("subresource")
        and "f:spec" in entry.get("fieldsV1", {})
        for entry in live["metadata"].get("managedFields", [])
    )


def _covers(live: Any, wanted: Any) -> bool:
    """Whether everything wanted is there; the API server adds defaults beside it, but not to lists."""
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
