"""Specs for the builders' tests, from the smallest to the one that sets everything."""

from typing import Any, Final

from k8s.operator.manifests.naming import Stack
from k8s.operator.stack_types import SignalsStackSpec

STACK: Final = Stack(name="demo", namespace="signals", uid="00000000-0000-4000-8000-000000000001")
DIGEST: Final = "sha256:" + "a" * 64

MINIMAL: Final[dict[str, Any]] = {
    "image": "registry.example/signals:0.1.0",
    "postgres": {"secretRef": {"name": "postgres"}, "sslMode": "disable"},
    "kafka": {
        "brokers": ["kafka:9092"],
        "securityProtocol": "PLAINTEXT",
        "topics": {"partitions": 6, "replicationFactor": 1},
    },
    "opensearch": {"secretRef": {"name": "opensearch"}},
    "ray": {"workers": 1},
}
DOKS: Final[dict[str, Any]] = {
    "image": "registry.digitalocean.com/team/signals:0.1.0",
    "postgres": {"secretRef": {"name": "signals-postgres"}, "caRef": {"name": "signals-postgres-ca"}},
    "kafka": {
        "brokers": ["private-kafka.db.ondigitalocean.com:25080"],
        "secretRef": {"name": "signals-kafka"},
        "caRef": {"name": "signals-kafka-ca", "key": "kafka.pem"},
    },
    "opensearch": {"secretRef": {"name": "signals-opensearch"}, "caRef": {"name": "signals-opensearch-ca"}},
    "ai": {"secretRef": {"name": "signals-model", "key": "token"}},
}
EVERYTHING: Final[dict[str, Any]] = DOKS | {
    "image": f"registry.digitalocean.com/team/signals@{DIGEST}",
    "imagePolicy": "RequireDigest",
    "imagePullPolicy": "Always",
    "imagePullSecrets": ["team", "other"],
    "deletionPolicy": "Retain",
    "ai": DOKS["ai"] | {"models": ["openai-gpt-oss-120b", "llama3.3-70b-instruct"], "requestsPerMinute": 30},
    "ingest": {
        "replicas": 4,
        "service": {
            "type": "LoadBalancer",
            "annotations": {
                "service.beta.kubernetes.io/do-loadbalancer-type": "REGIONAL",
                "service.beta.kubernetes.io/do-loadbalancer-name": "signals",
            },
        },
    },
    "notifications": {
        "secretRef": {"name": "signals-notify"},
        "allow": ["10.20.0.0/16", "ntfy.internal"],
        "linkURL": "https://signals.example",
    },
    "signIn": {
        "provider": {
            "issuer": "https://id.example",
            "clientID": "signals",
            "secretRef": {"name": "signals-provider"},
            "name": "Acme",
            "domains": ["example.com"],
            "newcomers": {"org": "acme"},
        },
        "passwords": True,
        "proxies": 1,
    },
    "coreApi": {"replicas": 3},
    "console": {"placement": "own", "replicas": 3},
    "pipeline": {"workers": 12, "summarizers": 2},
    "ray": {
        "workers": 4,
        "headResources": {"cpu": "1", "memory": "4Gi"},
        "workerResources": {"cpu": "2", "memory": "8Gi"},
        "gcsFaultTolerance": {"address": "rediss://valkey:25061", "secretRef": {"name": "valkey"}},
    },
    "disruption": {"minAvailable": 3},
    "monitoring": {"serviceMonitor": True, "prometheusRule": True},
}
CASES: Final = {"minimal": MINIMAL, "doks": DOKS, "everything": EVERYTHING}


def parsed(spec: dict[str, Any]) -> SignalsStackSpec:
    """Return the spec as the operator reads it."""
    return SignalsStackSpec.model_validate(spec)
