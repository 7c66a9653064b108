"""The equipment itself: what other tests rely on, so that a failure there is the product's."""

from pathlib import Path

import httpx2
import pytest
import yaml

from tests.k8s.control_plane.api import Api
from tests.k8s.control_plane.conditions import condition
from tests.k8s.control_plane.fake_node import FakeNodes, Outcome
from tests.k8s.control_plane.fake_ray import FakeRay
from tests.k8s.control_plane.gateway import Gateway
from tests.support.waiting import until

EXAMPLE = Path(__file__).parents[1] / "rig" / "example-rayservice.yaml"
RESTRICTED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
JOB = {
    "metadata": {"name": "demo-preflight-1"},
    "spec": {
        "backoffLimit": 0,
        "template": {
            "spec": {
                "restartPolicy": "Never",
                "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [{"name": "main", "image": "localhost/none:1", "securityContext": RESTRICTED}],
            }
        },
    },
}


def test_pod_of_a_job_ends_as_the_test_decides(api: Api, nodes: FakeNodes, namespace: str) -> None:
    nodes.decide(namespace, "preflight", Outcome(exit_code=1, message='[{"ok": false}]'))

    api.create("jobs", JOB, namespace)

    until(lambda: condition(api.get("jobs", "demo-preflight-1", namespace), "Failed"))
    (pod,) = api.list("pods", namespace)
    ended = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (ended["exitCode"], ended["message"]) == (1, '[{"ok": false}]')


def test_rayservice_becomes_ready_and_moves_to_a_new_cluster(api: Api, ray: FakeRay, namespace: str) -> None:
    service = next(item for item in yaml.safe_load_all(EXAMPLE.read_text()) if item["kind"] == "RayService")

    api.apply("rayservices", service, namespace)

    until(lambda: condition(api.get("rayservices", "rs", namespace), "Ready") == "True", within_s=60)
    before = api.get("rayservices", "rs", namespace)["status"]["activeServiceStatus"]["rayClusterName"]
    service["spec"]["rayClusterConfig"]["headGroupSpec"]["template"]["spec"]["containers"][0]["image"] = (
        "localhost/two:1"
    )
    api.apply("rayservices", service, namespace)
    until(
        lambda: (
            api.get("rayservices", "rs", namespace)["status"]["activeServiceStatus"]["rayClusterName"]
            != before
        ),
        within_s=60,
    )
    assert [app["name"] for app in ray.applications[next(reversed(ray.applications))]] == ["hello"]


def test_gateway_resets_the_first_answer_only(gate: Gateway) -> None:
    gate.fault = "reset"
    with httpx2.Client(base_url=gate.url, trust_env=False) as client:
        with pytest.raises(httpx2.ReadError, match="reset by peer"):
            client.get("/apis")
        assert client.get("/apis").headers["Content-Type"] == "application/json"
    assert gate.hurt == {"/apis"}
