"""Valid custom resources to start from, and small changes of them."""

from copy import deepcopy
from typing import Any

from tests.k8s.control_plane.api import Object

Change = dict[str, Any]
"""Values by dotted path, for example {"spec.kafka.brokers": []}; ABSENT removes."""
ABSENT = object()


def stack(name: str = "demo") -> Object:
    """The smallest stack that talks to servers without TLS."""
    return {
        "apiVersion": "signals.copilot.dev/v1alpha1",
        "kind": "SignalsStack",
        "metadata": {"name": name},
        "spec": {
            "image": "registry.example.com/signals:1.0.0",
            "postgres": {"secretRef": {"name": "postgres"}, "sslMode": "disable"},
            "kafka": {"brokers": ["kafka.example.com:9092"], "securityProtocol": "PLAINTEXT"},
            "opensearch": {"secretRef": {"name": "opensearch"}},
        },
    }


def scenario(name: str = "spike") -> Object:
    """The smallest scenario against a stack."""
    return {
        "apiVersion": "signals.copilot.dev/v1alpha1",
        "kind": "SignalsScenario",
        "metadata": {"name": name},
        "spec": {
            "type": "Loadgen",
            "stackRef": {"name": "demo"},
            "apiKeyRef": {"name": "keys", "key": "ingest"},
            "loadgen": {"mode": "spike_errors"},
        },
    }


def changed(manifest: Object, change: Change) -> Object:
    """A copy with the values at their paths."""
    copy = deepcopy(manifest)
    for path, value in change.items():
        *parents, last = path.split(".")
        place = copy
        for key in parents:
            place = place.setdefault(key, {})
        if value is ABSENT:
            del place[last]
        else:
            place[last] = deepcopy(value)
    return copy
