"""The builders: golden manifests, and what must hold for every spec."""

import json
from dataclasses import replace
from typing import Any

import pytest
import yaml

from k8s.operator.cluster import Manifest
from k8s.operator.manifests.all import dependents
from k8s.operator.manifests.configuration import connection_variables, creation_variables, places, secret_keys
from k8s.operator.manifests.jobs import preflight_job, prepare_job
from k8s.operator.manifests.monitoring import prometheus_rule
from k8s.operator.manifests.ray_service import GRACE_S, PAUSE_S, RAY_VERSION, plan_hash, ray_service
from k8s.operator.manifests.serve_config import HTTP_OPTIONS, serve_config
from k8s.operator.metrics import READY
from tests.unit.docs.markdown import ROOT
from tests.unit.k8s import golden
from tests.unit.k8s.specs import CASES, DOKS, EVERYTHING, MINIMAL, STACK, parsed

OLDER_FIELDS = {name: value for name, value in EVERYTHING.items() if name not in ("notifications", "signIn")}
"""The fields that the first release knew."""


@pytest.mark.parametrize("case", CASES)
def test_objects_match_the_golden_files(case: str) -> None:
    written = (golden.FOLDER / f"{case}.yaml").read_text()
    assert golden.rendered(case) == written, "on purpose? python -m tests.unit.k8s.golden"


def _pod_specs(spec: dict[str, Any]) -> list[dict[str, Any]]:
    read = parsed(spec)
    cluster = ray_service(STACK, read)["spec"]["rayClusterConfig"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    jobs = [preflight_job(STACK, read, ""), prepare_job(STACK, read)]
    return [group["template"]["spec"] for group in groups] + [job["spec"]["template"]["spec"] for job in jobs]


@pytest.mark.parametrize("case", CASES)
def test_every_pod_keeps_the_restricted_standard(case: str) -> None:
    for pod in _pod_specs(CASES[case]):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert security["readOnlyRootFilesystem"] is True
            assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"]
            assert all("subPath" not in mount for mount in container["volumeMounts"])


@pytest.mark.parametrize("case", CASES)
def test_no_secret_value_is_a_variable(case: str) -> None:
    variables = {key.variable for key in secret_keys(parsed(CASES[case]))}
    for pod in _pod_specs(CASES[case]):
        names = {entry["name"] for container in pod["containers"] for entry in container["env"]}
        assert names & variables == set()
        assert all("valueFrom" not in entry for c in pod["containers"] for entry in c["env"])


@pytest.mark.parametrize(
    "change",
    [
        {"pipeline": {"workers": 5, "summarizers": 3}},
        {"ingest": {"replicas": 9}},
        {"ray": {"workers": 7}},
        {"disruption": {"minAvailable": 1}},
        {"monitoring": {"serviceMonitor": True}},
        {"upgrade": {"approval": "Manual", "timeout": "5m"}},
        {"paused": True},
    ],
)
def test_change_without_new_pods_keeps_the_plan(change: dict[str, Any]) -> None:
    before, after = (ray_service(STACK, parsed(spec))["spec"] for spec in (DOKS, DOKS | change))
    assert plan_hash(before) == plan_hash(after)


def test_another_image_is_another_plan() -> None:
    before, after = (
        ray_service(STACK, parsed(spec))["spec"] for spec in (DOKS, DOKS | {"image": "registry/x:2"})
    )
    assert plan_hash(before) != plan_hash(after)


def test_plan_survives_the_api_servers_copy() -> None:
    spec = ray_service(STACK, parsed(EVERYTHING))["spec"]
    assert plan_hash(json.loads(json.dumps(spec))) == plan_hash(spec)


@pytest.mark.parametrize(
    ("spec", "plan"),
    [(MINIMAL, "f187049f52"), (DOKS, "49357d6495"), (OLDER_FIELDS, "c526f5eefe")],
    ids=["minimal", "doks", "everything"],
)
def test_this_operator_leaves_the_pods_of_the_first_release_alone(spec: dict[str, Any], plan: str) -> None:
    """Another hash here is a second Ray cluster for every stack that is upgraded: give the reason."""
    assert plan_hash(ray_service(STACK, parsed(spec))["spec"]) == plan


@pytest.mark.parametrize(("image", "version"), [(DOKS["image"], "2.9.0"), ("registry/x:2", RAY_VERSION)])
def test_newer_operator_keeps_the_ray_version_of_an_unchanged_image(image: str, version: str) -> None:
    live = ray_service(STACK, parsed(DOKS))
    live["spec"]["rayClusterConfig"]["rayVersion"] = "2.9.0"
    wanted = ray_service(STACK, parsed(DOKS | {"image": image}), live)
    assert wanted["spec"]["rayClusterConfig"]["rayVersion"] == version


def test_same_counts_give_the_same_text() -> None:
    spec = MINIMAL | {"pipeline": {"summarizers": 2, "workers": 4}}
    other_order = MINIMAL | {"pipeline": {"workers": 4, "summarizers": 2}}
    assert serve_config(parsed(spec)) == serve_config(parsed(other_order))


def test_serve_configuration_matches_the_local_stack() -> None:
    laptop = yaml.safe_load((ROOT / "serve_apps/config.yaml").read_text())
    cluster = yaml.safe_load(serve_config(parsed(MINIMAL)))
    assert laptop["http_options"] | {"host": "0.0.0.0"} == HTTP_OPTIONS
    assert laptop["proxy_location"] == cluster["proxy_location"]
    applications = [
        {name: value for name, value in application.items() if name != "deployments"}
        for application in cluster["applications"]
    ]
    assert applications == laptop["applications"]


def test_jobs_are_named_by_a_hash_of_their_inputs() -> None:
    spec = parsed(DOKS)

    def name(job: Manifest) -> str:
        return str(job["metadata"]["name"])

    assert name(preflight_job(STACK, spec, "a")) != name(preflight_job(STACK, spec, "b"))
    assert name(prepare_job(STACK, spec)) == name(prepare_job(STACK, parsed(DOKS | {"paused": True})))
    assert name(prepare_job(STACK, spec)) != name(prepare_job(STACK, parsed(DOKS | {"image": "x:2"})))
    longest = replace(STACK, name="s" * 40)
    assert len(name(preflight_job(longest, spec, ""))) <= 63  # a label's length: pods carry it


def test_budget_exists_from_two_workers_on() -> None:
    def budgets(workers: int) -> list[Manifest | None]:
        slots = dependents(STACK, parsed(MINIMAL | {"ray": {"workers": workers}}), None)
        return [slot.wanted for slot in slots if slot.name == "demo-workers"]

    assert budgets(1) == [None]
    [budget] = budgets(2)
    assert budget
    assert budget["spec"]["minAvailable"] == 1


@pytest.mark.parametrize("serving", ["demo-x7k2p", None])
def test_budget_counts_the_serving_workers(serving: str | None) -> None:
    """Workers of a second cluster, which an upgrade is preparing, must not count."""
    slots = dependents(STACK, parsed(DOKS), serving)
    [budget] = [slot.wanted for slot in slots if slot.kind.kind == "PodDisruptionBudget"]
    [ingest] = [slot.wanted for slot in slots if slot.name == "demo-ingest"]
    assert budget
    assert ingest
    counted = budget["spec"]["selector"]["matchLabels"]["ray.io/cluster"]
    assert counted == ingest["spec"]["selector"]["ray.io/cluster"] == (serving or "none")


def test_alert_fires_for_a_silent_operator() -> None:
    [group] = prometheus_rule(STACK)["spec"]["groups"]
    [down] = [rule for rule in group["rules"] if rule["expr"].startswith("absent(")]
    assert f'stack_namespace="{STACK.namespace}",stack="{STACK.name}"' in down["expr"]
    [ready] = READY.describe()
    assert ready.name in down["expr"]
    assert down["labels"]["severity"] == "critical"


def test_draining_fits_into_the_grace_period() -> None:
    [head, worker, *_] = _pod_specs(MINIMAL)
    for pod in (head, worker):
        environment = {entry["name"]: entry["value"] for entry in pod["containers"][0]["env"]}
        assert PAUSE_S + int(environment["RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"]) < GRACE_S
        assert pod["terminationGracePeriodSeconds"] == GRACE_S


def test_retained_objects_have_no_owner_but_jobs_go() -> None:
    assert "ownerReferences" in ray_service(STACK, parsed(DOKS))["metadata"]
    retained = replace(STACK, retained=True)
    assert "ownerReferences" not in ray_service(retained, parsed(DOKS))["metadata"]
    assert "ownerReferences" in prepare_job(retained, parsed(DOKS))["metadata"]


def test_messages_can_name_the_source_of_each_secret() -> None:
    assert places(parsed(DOKS))["KAFKA_CA_CERT"] == "key kafka.pem of Secret signals-kafka-ca"
    assert places(parsed(DOKS))["GRADIENT_API_KEY"] == "key token of Secret signals-model"
    assert places(parsed(MINIMAL))["KAFKA_BROKERS"] == "spec.kafka.brokers"
    assert "PG_CA_CERT" not in places(parsed(MINIMAL))


def test_every_variable_of_the_pods_has_a_source() -> None:
    spec = parsed(EVERYTHING)
    variables = connection_variables(spec).keys() | creation_variables(spec).keys()
    assert variables - {"SIGNALS_SECRETS_DIR"} <= places(spec).keys()
