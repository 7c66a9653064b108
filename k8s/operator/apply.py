"""Applies single objects: writes only differences, and reverts changes by other field managers."""

import structlog

from k8s.operator.cluster import Cluster, ClusterRefused, KindMissing, Manifest, ResourceKind
from k8s.operator.drift import differs, has_foreign_fields, sealed, without_foreign
from k8s.operator.manifests.all import Slot
from k8s.operator.manifests.naming import HASH_ANNOTATION, MANAGED_BY

log = structlog.get_logger(__name__)


def apply_if_changed(cluster: Cluster, live: Manifest | None, wanted: Manifest) -> bool:
    """Apply the manifest if the live object differs; True when something was written.

    Raises:
        ClusterUnavailable, ClusterRefused: nothing was written.
    """
    if live is not None and not is_managed(live):
        kind, name = wanted["kind"], wanted["metadata"]["name"]
        label = ": ".join(*MANAGED_BY.items())
        remedy = f"remove it, rename the stack or, if the operator made it, restore its label {label}"
        sentence = f"{kind} {name} exists and was not made by the operator; {remedy}"
        raise ClusterRefused(sentence, status=409)
    target = sealed(wanted)
    foreign = live is not None and has_foreign_fields(live)
    if not differs(live, target) and not foreign:
        return False
    before = live and live["metadata"].get("resourceVersion")
    after = cluster.apply(target)
    if has_foreign_fields(after):
        after = cluster.replace_spec(target, owners=without_foreign(after))
    written: bool = after["metadata"]["resourceVersion"] != before
    if written:
        kind, name = wanted["kind"], wanted["metadata"]["name"]
        log.info("applied", kind=kind, name=name, namespace=wanted["metadata"]["namespace"], drift=foreign)
    return written


def apply_slot(cluster: Cluster, namespace: str, slot: Slot) -> bool:
    """Apply one object, or remove it when it is no longer wanted; True when something was written.

    Raises:
        KindMissing: the object is wanted, and its CustomResourceDefinition is not installed.
        ClusterUnavailable, ClusterRefused: nothing was written, for another reason.
    """
    try:
        live = cluster.read(slot.kind, namespace, slot.name)
    except KindMissing:
        if slot.wanted is None:
            return False
        raise
    if slot.wanted is not None:
        return apply_if_changed(cluster, live, slot.wanted)
    return live is not None and is_managed(live) and _remove(cluster, slot.kind, live)


def is_managed(live: Manifest) -> bool:
    """Whether the operator made the object, even without its labels; others are never changed or deleted."""
    metadata = live["metadata"]
    labelled = MANAGED_BY.items() <= (metadata.get("labels") or {}).items()
    return labelled or HASH_ANNOTATION in (metadata.get("annotations") or {})


def _remove(cluster: Cluster, kind: ResourceKind, live: Manifest) -> bool:
    metadata = live["metadata"]
    log.info("removed", kind=kind.kind, name=metadata["name"], namespace=metadata["namespace"])
    return cluster.delete(kind, metadata["namespace"], metadata["name"])
