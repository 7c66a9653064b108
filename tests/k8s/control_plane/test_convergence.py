"""The operator converges from any valid spec to any other, and a reverted bad spec recovers."""

from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.k8s.control_plane.api import Object
from tests.k8s.control_plane.installed import Installed
from tests.support.waiting import until

EXAMPLES = 6
"""Each takes five to ten seconds: up to three new Ray clusters a minute."""
BAD = (
    ({"spec.postgres.secretRef": {"name": "nowhere"}}, "ResolvedRefs"),
    ({"spec.kafka.caRef": {"name": "nowhere"}, "spec.kafka.securityProtocol": "SSL"}, "ResolvedRefs"),
)


@st.composite
def specs(draw: st.DrawFn) -> dict[str, Any]:
    """Parts of a valid spec that change pods, counts and objects."""
    workers = draw(st.integers(1, 4))
    least = draw(st.integers(1, max(1, workers - 1)))
    return {
        "image": f"registry.example.com/signals:1.{draw(st.integers(0, 2))}",
        "pipeline": {"workers": draw(st.integers(1, 12)), "summarizers": draw(st.integers(1, 3))},
        "ingest": {"replicas": draw(st.integers(1, 3))},
        "ray": {
            "workers": workers,
            "workerResources": {"cpu": draw(st.sampled_from(["500m", "1"])), "memory": "3Gi"},
        },
        "disruption": {"minAvailable": least},
        "networkPolicy": {"enabled": draw(st.booleans())},
    }


def test_any_valid_spec_converges_and_a_bad_one_can_be_reverted(release: Installed) -> None:
    release.helm("install", {})
    release.start()
    release.until_ready()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(spec=specs())
    def converges(spec: dict[str, Any]) -> None:
        release.api.merge("signalsstacks", "demo", {"spec": spec}, release.namespace)
        release.until_ready()
        until(lambda: differences(release, spec) == [], within_s=60, every_s=0.2)

    converges()

    good = release.stack()["spec"]
    for change, condition in BAD:
        release.change(change)
        release.until_condition(condition, "False")
        stored = release.stack()
        release.api.replace("signalsstacks", stored | {"spec": good}, release.namespace)
        release.until_condition(condition, "True")
        release.until_ready()


def differences(release: Installed, spec: dict[str, Any]) -> list[str]:
    """Return the differences from the spec, computed without the operator's builders."""
    service = release.child("rayservices")
    cluster = service["spec"]["rayClusterConfig"]
    (group,) = cluster["workerGroupSpecs"]
    (container,) = group["template"]["spec"]["containers"]
    budget = release.api.find("poddisruptionbudgets", "demo-workers", release.namespace)
    policy = release.api.find("networkpolicies", "demo-ray", release.namespace)
    least = spec["disruption"]["minAvailable"] if spec["ray"]["workers"] > 1 else None
    found = {
        "image": container["image"] == spec["image"],
        "cpu": container["resources"]["requests"]["cpu"] == spec["ray"]["workerResources"]["cpu"],
        "ray workers": group["replicas"] == spec["ray"]["workers"],
        "budget": (budget and budget["spec"]["minAvailable"]) == least,
        "policy": (policy is not None) == spec["networkPolicy"]["enabled"],
        "ingest": replicas(service, "ingest-api") == spec["ingest"]["replicas"],
        "serving": serving(release) == {spec["image"]},
    }
    return [name for name, holds in found.items() if not holds]


def replicas(service: Object, deployment: str) -> int | None:
    """How many replicas the Serve configuration asks for."""
    applications = yaml.safe_load(service["spec"]["serveConfigV2"])["applications"]
    deployments = [part for app in applications for part in app.get("deployments", [])]
    return next((part.get("num_replicas") for part in deployments if part["name"] == deployment), None)


def serving(release: Installed) -> set[str]:
    """The images of the Ray cluster that serves."""
    active = release.child("rayservices").get("status", {}).get("activeServiceStatus", {})
    pods = release.api.list(
        "pods", release.namespace, labels=f"ray.io/cluster={active.get('rayClusterName')}"
    )
    return {pod["spec"]["containers"][0]["image"] for pod in pods}
