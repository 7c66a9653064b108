"""Names, labels and owner references of a stack's objects."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final

from k8s.operator.cluster import STACK, Manifest, ResourceKind

MANAGED_BY: Final = {"app.kubernetes.io/managed-by": "signals-operator"}
HASH_ANNOTATION: Final = "signals.copilot.dev/applied-hash"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """The SignalsStack that manifests are built for; `retained` objects survive its deletion."""

    name: str
    namespace: str
    uid: str
    retained: bool = False

    @property
    def ingest(self) -> str:
        """The Service in front of ingest-api."""
        return f"{self.name}-ingest"

    @property
    def core(self) -> str:
        """The Service in front of core-api."""
        return f"{self.name}-core"

    def labels(self, component: str) -> dict[str, str]:
        """Return the labels of all objects of the stack."""
        return self.selector(component) | {"app.kubernetes.io/name": "signals"} | MANAGED_BY

    def selector(self, component: str) -> dict[str, str]:
        """Return the labels that select one component's pods."""
        return {"app.kubernetes.io/component": component, "app.kubernetes.io/instance": self.name}


def manifest(kind: ResourceKind, stack: Stack, name: str, component: str, **body: Any) -> Manifest:
    """Return an object of the stack, owned by the stack unless retained."""
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": stack.namespace,
        "labels": stack.labels(component),
    }
    if not stack.retained:
        metadata["ownerReferences"] = [_owner(stack)]
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata} | body


def _owner(stack: Stack) -> dict[str, Any]:
    return {
        "apiVersion": STACK.api_version,
        "kind": STACK.kind,
        "name": stack.name,
        "uid": stack.uid,
        "controller": True,
    }


def short_hash(value: object) -> str:
    """Return ten characters that change when the value does."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:10]
