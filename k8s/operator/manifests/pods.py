"""Parts shared by all pods of a stack: the restricted standard, one image, one secrets volume.

https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from typing import Any, Final

from k8s.operator.manifests.configuration import (
    SECRETS_FOLDER,
    SECRETS_VOLUME,
    environment,
    secret_keys,
    secrets_volume,
)
from k8s.operator.stack_types import SignalsStackSpec

TMP_VOLUME: Final = "tmp"
CONTAINER_SECURITY: Final = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}


def pod(spec: SignalsStackSpec, container: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a pod's spec around one container."""
    body = {
        "automountServiceAccountToken": False,
        "containers": [container],
        # Variables of neighbouring Services (KAFKA_PORT=tcp://…) would be read as configuration.
        "enableServiceLinks": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "volumes": [{"name": TMP_VOLUME, "emptyDir": {}}, secrets_volume(secret_keys(spec))],
    }
    if spec.image_pull_secrets:
        body["imagePullSecrets"] = [{"name": name} for name in spec.image_pull_secrets]
    return body | more


def container(
    spec: SignalsStackSpec, name: str, variables: dict[str, str], resources: dict[str, Any], **more: Any
) -> dict[str, Any]:
    """Return a container of the product's image that may write below /tmp only."""
    return {
        "name": name,
        "image": spec.image,
        "imagePullPolicy": spec.image_pull_policy,
        "env": environment(variables),
        "resources": resources,
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": [
            {"name": TMP_VOLUME, "mountPath": "/tmp"},  # noqa: S108  # of the pod alone
            {"name": SECRETS_VOLUME, "mountPath": SECRETS_FOLDER, "readOnly": True},
        ],
    } | more


def resources(cpu: str, memory: str) -> dict[str, Any]:
    """Return requests, and a limit of memory only: throttled consumers lag, others may use idle cores."""
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": memory}}
