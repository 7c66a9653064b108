"""The Jobs before Ray: preflight checks every dependency, prepare migrates the schema and creates topics.

A Job cannot be changed, so its name ends with the hash of what it depends on.
"""

from dataclasses import replace
from typing import Any, Final

from k8s.operator.cluster import JOB, Manifest
from k8s.operator.manifests.configuration import connection_variables, creation_variables
from k8s.operator.manifests.naming import Stack, manifest, short_hash
from k8s.operator.manifests.pods import container, pod, resources
from k8s.operator.stack_types import SignalsStackSpec

PREFLIGHT: Final = "preflight"
PREPARE: Final = "prepare"
REPORT: Final = "/dev/termination-log"  # kubelet copies this file into the container's termination message
PREFLIGHT_DEADLINE_S: Final = 600  # guess: a new node and pulling the image there, then seconds
PREPARE_DEADLINE_S: Final = 1800  # guess: a migration that rewrites a large table


def preflight_job(stack: Stack, spec: SignalsStackSpec, secrets_digest: str) -> Manifest:
    """Build the Job that checks the current configuration; changed secrets make another Job."""
    command = ["signals", "preflight", "--report", REPORT]
    body = _body(stack, spec, PREFLIGHT, command, deadline_s=PREFLIGHT_DEADLINE_S, retries=0)
    return _named(stack, PREFLIGHT, body, secrets_digest)


def prepare_job(stack: Stack, spec: SignalsStackSpec) -> Manifest:
    """Build the Job that brings schema, topics and index to what the image needs."""
    body = _body(stack, spec, PREPARE, ["signals", "prepare"], deadline_s=PREPARE_DEADLINE_S, retries=2)
    return _named(stack, PREPARE, body, "")


def _named(stack: Stack, component: str, body: dict[str, Any], digest: str) -> Manifest:
    name = f"{stack.name}-{component}-{short_hash([body, digest])}"
    return manifest(JOB, replace(stack, retained=False), name, component, spec=body)


def _body(
    stack: Stack, spec: SignalsStackSpec, component: str, command: list[str], *, deadline_s: int, retries: int
) -> dict[str, Any]:
    variables = connection_variables(spec) | creation_variables(spec)
    job = container(
        spec,
        component,
        variables,
        resources("100m", "512Mi"),
        command=command,
        terminationMessagePolicy="FallbackToLogsOnError",
    )
    return {
        "activeDeadlineSeconds": deadline_s,
        "backoffLimit": retries,
        "template": {
            "metadata": {"labels": stack.labels(component)},
            "spec": pod(spec, job, restartPolicy="Never"),
        },
    }
