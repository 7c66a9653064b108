"""Small decisions: drift, plans, Jobs, readiness, events, the Lease and retry delays."""

from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest

from k8s.operator import announcements, lease, status
from k8s.operator.cluster import Manifest
from k8s.operator.conditions import merged
from k8s.operator.drift import differs, has_foreign_fields, sealed
from k8s.operator.handlers import owner_of
from k8s.operator.manifests.ray_service import ray_service
from k8s.operator.observed import RayState, job_state, ray_state
from k8s.operator.plan import Plan, applied_plan, planned, with_plan
from k8s.operator.readiness import ConsumersReadiness, _Answer, read
from k8s.operator.stack_types import Upgrade
from k8s.operator.verdicts import judge
from k8s.operator.work_queue import LONGEST_RETRY_S, Key, retry_delay_s
from tests.unit.k8s.facts import NOW, WELL, well
from tests.unit.k8s.specs import DOKS, STACK, parsed


def _wanted() -> Manifest:
    return sealed(ray_service(STACK, parsed(DOKS)))


def test_defaults_of_the_api_server_are_no_drift() -> None:
    live = deepcopy(_wanted())
    live["status"] = {}
    live["metadata"]["resourceVersion"] = "7"
    live["spec"]["rayClusterConfig"]["headGroupSpec"]["template"]["spec"]["dnsPolicy"] = "ClusterFirst"
    assert not differs(live, _wanted())


def _set(path: str, value: object) -> Manifest:
    live = deepcopy(_wanted())
    *parents, last = path.split(".")
    place: Any = live
    for name in parents:
        place = place[int(name)] if name.isdigit() else place[name]
    place[last] = value
    return live


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.serveConfigV2", "applications: []"),
        ("spec.rayClusterConfig.workerGroupSpecs.0.replicas", 9),
        ("spec.rayClusterConfig.workerGroupSpecs", []),
        ("metadata.labels", {}),
        ("metadata.annotations", {"signals.copilot.dev/applied-hash": "of an earlier wish"}),
    ],
)
def test_drift_is_seen(path: str, value: object) -> None:
    assert differs(_set(path, value), _wanted())


def test_missing_object_differs() -> None:
    assert differs(None, _wanted())


@pytest.mark.parametrize(
    ("entry", "foreign"),
    [
        ({"manager": "kubectl-edit", "fieldsV1": {"f:spec": {"f:suspend": {}}}}, True),
        ({"manager": "kubectl-label", "fieldsV1": {"f:metadata": {}}}, False),
        ({"manager": "kuberay-operator", "subresource": "status", "fieldsV1": {"f:spec": {}}}, False),
        ({"manager": "signals-operator", "fieldsV1": {"f:spec": {}}}, False),
    ],
)
def test_spec_fields_of_other_managers_are_foreign(entry: dict[str, Any], foreign: bool) -> None:
    assert has_foreign_fields({"metadata": {"managedFields": [entry]}}) is foreign


OUR_PORT: dict[str, Any] = {'k:{"port":8000}': {".": {}, "f:port": {}}}


@pytest.mark.parametrize(
    ("theirs", "foreign"),
    [
        ({"f:type": {}}, False),
        ({"f:ports": {".": {}, 'k:{"port":8000}': {"f:port": {}}}}, False),
        ({"f:ports": {'k:{"port":9000}': {"f:port": {}}}}, True),
        ({"f:type": {}, "f:externalName": {}}, True),
    ],
)
def test_shared_field_is_not_foreign(theirs: dict[str, Any], foreign: bool) -> None:
    """Otherwise each pass would send two requests that change nothing."""
    entries = [
        {"manager": "signals-operator", "operation": "Apply", "fieldsV1": {"f:spec": {"f:type": {}}}},
        {"manager": "signals-operator", "operation": "Update", "fieldsV1": {"f:spec": {"f:ports": OUR_PORT}}},
        {"manager": "argocd", "fieldsV1": {"f:spec": theirs}},
    ]
    assert has_foreign_fields({"metadata": {"managedFields": entries}}) is foreign


def _applied(spec: dict[str, Any]) -> Manifest:
    wanted = ray_service(STACK, parsed(spec))
    return with_plan(wanted, planned(None, wanted, Upgrade()), None)


def test_first_start_needs_no_approval() -> None:
    wanted = ray_service(STACK, parsed(DOKS))
    assert not planned(None, wanted, Upgrade(approval="Manual")).pending


def test_removing_the_pods_approves_no_other_plan() -> None:
    wanted = ray_service(STACK, parsed(DOKS))
    plan = planned(None, wanted, Upgrade(approval="Manual"), "before")
    assert plan.pending
    assert not planned(None, wanted, Upgrade(approval="Manual"), plan.wanted).pending
    assert not planned(None, wanted, Upgrade(approval="Manual", approved_plan=plan.wanted), "before").pending
    assert not planned(None, wanted, Upgrade(), "before").pending


def test_status_keeps_the_plan_of_a_suspended_stack() -> None:
    before = {"plan": {"hash": "p", "appliedAt": "2026-01-01T11:00:00Z"}}
    suspended = well(ray=RayState(), readiness=None, applied_at=None)
    assert status.composed(STACK, suspended, [], before, 1)["plan"] == before["plan"]


def test_start_after_a_suspension_has_its_own_deadline() -> None:
    made = {"metadata": {"creationTimestamp": "2026-01-01T12:00:00Z"}}
    again = well(ray=ray_state(made, "p"), readiness=None, applied_at=NOW - timedelta(days=9))
    assert "Stalled" not in {verdict.type for verdict in judge(again, [])}


def test_manual_upgrade_waits_for_the_hash_and_only_new_pods_wait() -> None:
    live = _applied(DOKS)
    new = DOKS | {"image": "registry/x:2", "ray": {"workers": 5}, "pipeline": {"workers": 4}}
    wanted = ray_service(STACK, parsed(new))
    plan = planned(live, wanted, Upgrade(approval="Manual"))
    assert plan.pending
    held = with_plan(wanted, plan, live)
    assert applied_plan(held) == applied_plan(live)
    assert "registry/x:2" not in str(held["spec"]["rayClusterConfig"])
    assert held["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]["replicas"] == 5
    assert "detectors: 4" in held["spec"]["serveConfigV2"]
    approved = planned(live, wanted, Upgrade(approval="Manual", approved_plan=plan.wanted))
    assert not approved.pending
    assert applied_plan(with_plan(wanted, approved, live)) == plan.wanted


def test_without_upgrades_every_new_template_waits() -> None:
    wanted = ray_service(STACK, parsed(DOKS | {"image": "registry/x:2"}))
    upgrade = Upgrade(strategy="None", approved_plan=planned(None, wanted, Upgrade()).wanted)
    assert planned(_applied(DOKS), wanted, upgrade).pending


def test_reverting_a_spec_needs_no_approval() -> None:
    wanted = ray_service(STACK, parsed(DOKS))
    assert not planned(_applied(DOKS), wanted, Upgrade(approval="Manual")).pending


AT = "2026-01-01T11:00:00Z"


def _pod(state: dict[str, Any], at: str = AT) -> Manifest:
    return {"metadata": {"creationTimestamp": at}, "status": {"containerStatuses": [{"state": state}]}}


@pytest.mark.parametrize(
    ("applied", "pending", "may"),
    [("p", False, True), ("q", True, True), ("q", False, False), (None, False, False)],
)
def test_only_new_pods_wait_for_the_jobs(applied: str | None, pending: bool, may: bool) -> None:
    plan = Plan(wanted="p", applied=applied, pending=pending)
    assert plan.may_apply(prepared=False) is may
    assert plan.may_apply(prepared=True)


def _job(kind: str | None) -> Manifest:
    conditions = [{"type": kind, "status": "True", "lastTransitionTime": AT, "message": "backoff"}]
    return {"status": {"conditions": conditions if kind else []}}


def test_job_reports_the_last_words_of_its_newest_pod() -> None:
    pods = [
        _pod({"terminated": {"message": "first"}}, "2026-01-01T10:00:00Z"),
        _pod({"terminated": {"message": "second\n"}}),
    ]
    state = job_state(_job("Failed"), pods)
    assert (state.state, state.message) == ("failed", "second")
    assert state.finished_at == NOW - timedelta(hours=1)


def test_job_without_pods_reports_its_own_reason() -> None:
    assert job_state(_job("Failed"), []).message == "backoff"
    assert job_state(_job("Complete"), []).state == "succeeded"


@pytest.mark.parametrize(
    ("waiting", "message"),
    [
        ({"reason": "ContainerCreating"}, ""),
        ({"reason": "ImagePullBackOff", "message": "not found"}, "ImagePullBackOff: not found"),
    ],
)
def test_running_job_reports_the_reason_for_waiting(waiting: dict[str, str], message: str) -> None:
    state = job_state(_job(None), [_pod({"waiting": waiting})])
    assert (state.state, state.message) == ("running", message)


def _service(ready: str, upgrade: str, *, generation: int = 1) -> Manifest:
    conditions = [
        {"type": "Ready", "status": ready, "reason": "R", "message": "m", "lastTransitionTime": AT},
        {"type": "UpgradeInProgress", "status": upgrade, "reason": "U", "lastTransitionTime": AT},
    ]
    active = {"rayClusterName": "demo-1"}
    status_ = {"conditions": conditions, "observedGeneration": 1, "activeServiceStatus": active}
    return {"metadata": {"generation": generation}, "status": status_}


@pytest.mark.parametrize(
    ("service", "settled"),
    [
        (_service("True", "False"), True),
        (_service("True", "True"), False),
        (_service("False", "False"), False),
        (_service("True", "False", generation=2), False),
        ({"metadata": {"generation": 1}}, False),
    ],
)
def test_ray_is_settled_when_it_serves_the_last_applied_version(service: Manifest, settled: bool) -> None:
    assert ray_state(service, "p").settled is settled


def test_application_that_cannot_deploy_is_named() -> None:
    service = _service("False", "True")
    service["status"]["pendingServiceStatus"] = {
        "applicationStatuses": {
            "core": {"status": "DEPLOY_FAILED", "message": "no module named x"},
            "ingest": {"status": "RUNNING"},
        }
    }
    assert ray_state(service, None).message == "core is DEPLOY_FAILED: no module named x"


def test_readiness_answer_is_sorted_by_part() -> None:
    answer = _Answer.model_validate(
        {
            "ready": False,
            "dependencies": [{"name": "kafka", "state": "timeout"}, {"name": "postgresql", "state": "ok"}],
            "actors": [
                {"name": "incident-engine-0", "state": "running", "lag": 5},
                {"name": "incident-engine-1", "state": "running", "lag": 7},
                {"name": "indexer-0", "state": "missing", "lag": None},
                {"name": "ai-worker-0", "state": "running", "lag": 99},
            ],
        }
    )
    assert read(answer) == ConsumersReadiness(
        unavailable=("kafka is timeout",),
        not_running=("indexer-0 is missing",),
        expected=4,
        engines=2,
        idle_kinds=("indexer",),
        lag=12,
    )


def _conditions(facts: Any, before: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return merged(before, judge(facts, before), generation=1, now=facts.now)


def test_each_change_is_announced_once() -> None:
    first = _conditions(WELL, [])
    assert ("Normal", "Ready") in [item[:2] for item in announcements.changes([], first)]
    later = well(now=NOW + timedelta(minutes=1))
    assert announcements.changes(first, _conditions(later, first)) == []
    refused = _conditions(well(refused="no"), first)
    assert [item[:2] for item in announcements.changes(first, refused)] == [("Warning", "Stalled")]


def test_event_has_one_name_a_second() -> None:
    about = {
        "apiVersion": "signals.copilot.dev/v1alpha1",
        "kind": "SignalsStack",
        "metadata": {"name": "demo", "namespace": "n", "uid": "u"},
    }
    one, same = (announcements.event(about, "Normal", "Ready", "m", NOW) for _ in range(2))
    assert one == same
    assert one["involvedObject"]["uid"] == "u"


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("registry:5000/a/b:1.2", "1.2"),
        ("registry:5000/a/b:1.2@sha256:" + "a" * 64, "1.2"),
        ("registry:5000/a/b@sha256:" + "a" * 64, "sha256:" + "a" * 12),
    ],
)
def test_version_is_the_tag_or_the_digest(image: str, version: str) -> None:
    assert status.version_of(image) == version


def test_deadline_runs_from_when_the_plan_was_applied() -> None:
    before = {"plan": {"hash": "p", "appliedAt": AT}}
    assert status.applied_at(before, "p", NOW) == NOW - timedelta(hours=1)
    assert status.applied_at(before, "q", NOW) == NOW
    assert status.applied_at({}, "p", NOW) == NOW
    assert status.applied_at(before, None, NOW) is None


def test_status_of_a_new_version_shows_when_it_serves() -> None:
    upgrading = well(ray=ray_state(_service("True", "True"), "p"))
    before = {"version": "0.0.9", "pipeline": {"workers": 3, "selector": "s"}}
    assert status.composed(STACK, upgrading, [], before, 2)["version"] == "0.0.9"
    assert status.composed(STACK, WELL, [], before, 2)["version"] == "0.1.0"


@pytest.mark.parametrize(
    ("holder", "age_s", "decision"),
    [("me", 0, "take"), ("", 0, "take"), ("other", 14, "wait"), ("other", 16, "take")],
)
def test_lease_is_taken_when_it_is_free_or_was_not_renewed(holder: str, age_s: int, decision: str) -> None:
    found = lease.ObservedLease(holder=holder, renewed="t", since_s=100.0)
    assert lease.decide(found, "me", 100.0 + age_s) == decision


def test_renewed_lease_is_young_despite_clock_skew() -> None:
    old = {"spec": {"holderIdentity": "other", "renewTime": "1999"}}
    first = lease.observe(old, None, 100.0)
    assert lease.observe(old, first, 120.0) == first
    renewed = {"spec": {"holderIdentity": "other", "renewTime": "2000"}}
    assert lease.observe(renewed, first, 120.0).since_s == 120.0


def test_retry_delay_doubles_up_to_a_minute_with_half_jitter() -> None:
    assert [retry_delay_s(n, 1.0) for n in (1, 2, 3)] == [1.0, 2.0, 4.0]
    assert retry_delay_s(1000, 1.0) == LONGEST_RETRY_S
    assert retry_delay_s(3, 0.0) == 2.0


def test_change_of_an_object_leads_to_its_owner() -> None:
    owned = {"namespace": "n", "ownerReferences": [{"kind": "SignalsScenario", "name": "s"}]}
    assert owner_of(owned) == Key(kind="SignalsScenario", namespace="n", name="s")
    retained = {"namespace": "n", "labels": {"app.kubernetes.io/instance": "demo"}}
    assert owner_of(retained) == Key(kind="SignalsStack", namespace="n", name="demo")
    assert owner_of({"namespace": "n"}) is None
