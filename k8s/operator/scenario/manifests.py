"""Builds the Indexed Job of a scenario. Pure: the same spec, the same manifest."""

from dataclasses import dataclass
from typing import Any, Final

from k8s.operator.api import parse_duration
from k8s.operator.cluster import JOB, SCENARIO, Manifest
from k8s.operator.manifests.jobs import REPORT
from k8s.operator.manifests.naming import MANAGED_BY
from k8s.operator.manifests.pods import CONTAINER_SECURITY, resources
from k8s.operator.scenario_types import KIND, Loadgen, Replay, SignalsScenarioSpec

COMPONENT: Final = "scenario"
FIXTURES: Final = "/app/fixtures/scenarios"  # where the image has them
RECORDING: Final = "/recording"
RECORDING_FILE: Final = "events.ndjson"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """The SignalsScenario that the Job is built for."""

    name: str
    namespace: str
    uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where the events go, and the image that sends them."""

    ingest_url: str
    image: str
    pull_policy: str = "IfNotPresent"
    pull_secrets: tuple[str, ...] = ()


def scenario_job(scenario: Scenario, spec: SignalsScenarioSpec, target: Target) -> Manifest:
    """Return the Job: each index runs to completion, even when others fail.

    It has no `ttlSecondsAfterFinished` yet: its pods hold the totals until the status has them.
    """
    labels = {
        "app.kubernetes.io/name": "signals",
        "app.kubernetes.io/component": COMPONENT,
        "app.kubernetes.io/instance": spec.stack_ref.name if spec.stack_ref else scenario.name,
    } | MANAGED_BY
    owner = {
        "apiVersion": SCENARIO.api_version,
        "kind": KIND,
        "name": scenario.name,
        "uid": scenario.uid,
        "controller": True,
    }
    return {
        "apiVersion": JOB.api_version,
        "kind": JOB.kind,
        "metadata": {
            "name": scenario.name,
            "namespace": scenario.namespace,
            "labels": labels,
            "ownerReferences": [owner],
        },
        "spec": {
            "completionMode": "Indexed",
            "completions": spec.parallelism,
            "parallelism": spec.parallelism,
            "backoffLimitPerIndex": spec.backoff_limit,
            "suspend": spec.suspend,
            "template": {"metadata": {"labels": labels}, "spec": _pod(spec, target)},
        },
    }


def _pod(spec: SignalsScenarioSpec, target: Target) -> dict[str, Any]:
    recording = spec.replay.config_map_ref if spec.replay else None
    volumes: list[dict[str, Any]] = [{"name": "tmp", "emptyDir": {}}]
    mounts: list[dict[str, Any]] = [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108  # of the pod alone
    if recording:
        items = [{"key": recording.key, "path": RECORDING_FILE}]
        volumes.append({"name": "recording", "configMap": {"name": recording.name, "items": items}})
        mounts.append({"name": "recording", "mountPath": RECORDING, "readOnly": True})
    key = {"name": spec.api_key_ref.name, "key": spec.api_key_ref.key}
    container = {
        "name": COMPONENT,
        "image": target.image,
        "imagePullPolicy": target.pull_policy,
        "command": _loadgen(spec.loadgen) if spec.loadgen else _replay(spec.replay),
        "env": [
            {"name": "INGEST_API_URL", "value": target.ingest_url},
            {"name": "PROJECT_API_KEY", "valueFrom": {"secretKeyRef": key}},
        ],
        "resources": resources("100m", "256Mi"),
        "securityContext": CONTAINER_SECURITY,
        "terminationMessagePath": REPORT,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": mounts,
    }
    pod: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "containers": [container],
        "enableServiceLinks": False,
        "restartPolicy": "Never",
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "volumes": volumes,
    }
    if target.pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in target.pull_secrets]
    return pod


def _loadgen(loadgen: Loadgen) -> list[str]:
    options = {
        "rate": loadgen.rate,
        "duration": f"{parse_duration(loadgen.duration).total_seconds():g}s",
        "concurrency": loadgen.concurrency,
        "seed": loadgen.seed,  # JOB_COMPLETION_INDEX is added to it
        "report": REPORT,
    }
    return ["signals-loadgen", loadgen.mode, *_flags(options)]


def _replay(replay: Replay | None) -> list[str]:
    assert replay is not None, "the CRD requires the block that type names"
    file = f"{FIXTURES}/{replay.fixture}" if replay.fixture else f"{RECORDING}/{RECORDING_FILE}"
    return ["signals-replay", file, *_flags({"speed": replay.speed, "report": REPORT})]


def _flags(options: dict[str, object]) -> list[str]:
    return [f"--{name}={value}" for name, value in options.items()]
