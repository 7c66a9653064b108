"""Each fault sets its condition with a message that names the remedy; once fixed, the stack recovers."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import trustme

from tests.k8s.control_plane.api import Object
from tests.k8s.control_plane.control_plane import ControlPlane
from tests.k8s.control_plane.fake_node import Outcome
from tests.k8s.control_plane.fake_ray import FakeRay
from tests.k8s.control_plane.installed import RELEASE, WELL, Installed, report
from tests.support.waiting import until

RETRY_WITHIN_S = 90.0
"""A failed Job is repeated after half a minute, a wrong Secret checked again within one."""
SECOND = "registry.example.com/signals:2.0.0"
GOOD = "registry.example.com/signals:1.0.0"
BROKEN = "registry.example.com/signals:2.0.1"


@pytest.fixture
def certificates() -> list[str]:
    """Two authorities, as PEM."""
    return [trustme.CA().cert_pem.bytes().decode() for _ in range(2)]


@pytest.fixture
def running(release: Installed) -> Installed:
    """A release whose stack is Ready."""
    release.helm("install", {})
    release.start()
    release.until_ready()
    return release


def test_missing_secret_is_named_and_nothing_starts(release: Installed) -> None:
    release.api.delete("secrets", "postgres", release.namespace)
    release.helm("install", {})
    release.start()

    sentence = release.until_condition("ResolvedRefs", "False", reason="SecretMissing")

    assert "Secret postgres" in sentence
    assert "DATABASE_URL" in sentence
    assert release.api.list("jobs", release.namespace) == []
    secret = {"metadata": {"name": "postgres"}, "stringData": {"DATABASE_URL": "postgresql://a:b@c/d"}}
    release.api.create("secrets", secret, release.namespace)
    release.until_ready()


def test_missing_key_is_named(release: Installed) -> None:
    release.helm("install", {"spec.opensearch.secretRef": {"name": "opensearch", "key": "URL"}})
    release.start()

    sentence = release.until_condition("ResolvedRefs", "False", reason="SecretKeyMissing")

    assert "Secret opensearch has no key URL" in sentence
    release.change({"spec.opensearch.secretRef": {"name": "opensearch", "key": None}})
    release.until_ready()


def test_wrong_password_names_the_secret_and_key_to_correct(release: Installed) -> None:
    refused = report(postgres=("PasswordRefused", "PostgreSQL refused the password", "DATABASE_URL"))
    release.nodes.decide(release.namespace, "preflight", Outcome(exit_code=1, message=refused))
    release.helm("install", {})
    release.start()

    sentence = release.until_condition("DependenciesReachable", "False", reason="PasswordRefused")

    assert "refused the password" in sentence
    assert "key DATABASE_URL of Secret postgres" in sentence
    assert release.api.list("rayservices", release.namespace) == []
    release.nodes.decide(release.namespace, "preflight", WELL)
    data = {"stringData": {"DATABASE_URL": "postgresql://signals:right@postgres.example.com/signals"}}
    release.api.merge("secrets", "postgres", data, release.namespace)
    release.until_condition("Ready", "True", within_s=RETRY_WITHIN_S)


def test_failed_migration_is_reported_and_retried(release: Installed) -> None:
    failed = Outcome(exit_code=1, message="migration 0007 failed: column exists")
    release.nodes.decide(release.namespace, "prepare", failed)
    release.helm("install", {})
    release.start()

    sentence = release.until_condition("Migrated", "False", reason="PrepareFailed", within_s=180)

    assert "column exists" in sentence
    assert release.api.list("rayservices", release.namespace) == []
    release.nodes.decide(release.namespace, "prepare", Outcome())
    release.until_condition("Ready", "True", within_s=RETRY_WITHIN_S)


def test_quota_without_room_for_pods_is_named(release: Installed) -> None:
    release.helm("install", {})
    full = {"metadata": {"name": "full"}, "spec": {"hard": {"pods": "0"}}}
    release.api.create("resourcequotas", full, release.namespace)
    until(lambda: release.api.get("resourcequotas", "full", release.namespace)["status"].get("hard"))
    release.start()

    sentence = release.until_condition("DependenciesReachable", "False", reason="PodFailing")

    assert "no pod could be made" in sentence
    assert "exceeded quota: full" in sentence
    assert release.until_condition("Ready", "False", reason="PodFailing") == sentence


def test_missing_kuberay_is_reported_and_its_installation_noticed(
    release: Installed, cluster: ControlPlane, ray: FakeRay
) -> None:
    with without_kuberay(cluster):
        release.helm("install", {})
        release.start()
        sentence = release.until_condition("ServeReady", "False", reason="KubeRayMissing")
    assert "rayservices.ray.io" in sentence

    release.until_condition("Ready", "True", within_s=RETRY_WITHIN_S + 60)


def test_stuck_upgrade_stalls_while_old_pods_serve_and_can_be_reverted(running: Installed) -> None:
    before = active(running)
    running.ray.broken.add(BROKEN)
    running.change({"spec.image": BROKEN, "spec.upgrade": {"timeout": "1m"}})

    sentence = running.until_condition("Stalled", "True", reason="UpgradeTimedOut", within_s=150)

    assert "1m" in sentence
    assert "DEPLOY_FAILED" in sentence
    running.until_condition("Ready", "True", within_s=5)
    assert active(running) == before
    running.change({"spec.image": GOOD})
    running.until_condition("Stalled", None, within_s=60)
    running.until_ready()
    assert serving_image(running) == GOOD  # KubeRay may move to a third cluster like the first


def test_upgrade_can_be_reverted_without_room_for_a_job(running: Installed) -> None:
    first, before = image(running), active(running)
    running.ray.broken.add(BROKEN)
    running.change({"spec.image": BROKEN})
    until(
        lambda: image(running) == BROKEN and len(running.api.list("rayclusters", running.namespace)) == 2,
        within_s=60,
    )
    full = {"metadata": {"name": "full"}, "spec": {"hard": {"pods": "0"}}}
    running.api.create("resourcequotas", full, running.namespace)
    until(lambda: running.api.get("resourcequotas", "full", running.namespace)["status"].get("hard"))

    running.change({"spec.image": first})

    until(lambda: image(running) == first, within_s=30)
    until(lambda: "waiting" not in running.stack()["status"], within_s=30)
    running.until_ready()
    assert active(running) == before


def test_drift_is_restored_and_scaling_done_while_preflight_fails(running: Installed) -> None:
    before = running.child("rayservices")["spec"]["serveConfigV2"]
    refused = report(postgres=("PasswordRefused", "PostgreSQL refused the password", "DATABASE_URL"))
    running.nodes.decide(running.namespace, "preflight", Outcome(exit_code=1, message=refused))
    data = {"stringData": {"DATABASE_URL": "postgresql://signals:wrong@postgres.example.com/signals"}}
    running.api.merge("secrets", "postgres", data, running.namespace)
    # Secrets are not watched; a change of the stack is
    running.change({"spec.pipeline": {"workers": 5}})
    running.until_condition("DependenciesReachable", "False", reason="PasswordRefused")

    until(lambda: running.child("rayservices")["spec"]["serveConfigV2"] != before, within_s=30)
    scaled = running.child("rayservices")["spec"]["serveConfigV2"]
    running.api.merge(
        "rayservices", RELEASE, {"spec": {"serveConfigV2": "applications: []"}}, running.namespace
    )
    until(lambda: running.child("rayservices")["spec"]["serveConfigV2"] == scaled, within_s=30)
    running.until_condition("DependenciesReachable", "False", reason="PasswordRefused", within_s=5)


def test_upgrade_moves_to_the_new_pods(running: Installed) -> None:
    before = active(running)

    running.change({"spec.image": SECOND})

    until(lambda: active(running) not in (None, before), within_s=60)
    until(lambda: running.stack()["status"]["version"] == "2.0.0", within_s=30)
    running.until_ready()


def test_upgrade_waits_for_the_approval_of_its_plan(running: Installed) -> None:
    before = running.child("rayservices")["spec"]
    running.change({"spec.image": SECOND, "spec.upgrade": {"approval": "Manual"}})

    sentence = running.until_condition("PlanPending", "True", reason="ApprovalNeeded")

    running.until_condition("Ready", "True", within_s=5)
    assert running.child("rayservices")["spec"] == before
    running.change({"spec.upgrade": {"approvedPlan": "0000000000"}})
    running.until_condition("PlanPending", "True", within_s=30)
    running.change({"spec.upgrade": {"approvedPlan": sentence.rpartition(" ")[2]}})
    running.until_condition("PlanPending", None, within_s=60)
    until(lambda: image(running) == SECOND, within_s=60)
    running.until_ready()


def test_paused_stack_is_watched_and_not_changed(running: Installed) -> None:
    running.change({"spec.paused": True})
    running.until_condition("Paused", "True")

    running.change({"spec.pipeline": {"workers": 5}})
    running.consumers(indexer_0="missing")
    running.api.delete("networkpolicies", "demo-ray", running.namespace)

    running.until_condition("ConsumersReady", "False", within_s=80)
    assert running.api.find("networkpolicies", "demo-ray", running.namespace) is None
    running.consumers()
    running.change({"spec.paused": False})
    until(lambda: running.api.find("networkpolicies", "demo-ray", running.namespace), within_s=30)
    running.until_ready()


def test_suspended_stack_has_no_pods_and_comes_back(running: Installed) -> None:
    running.change({"spec.suspend": True})

    running.until_condition("Suspended", "True")
    running.until_condition("Ready", "False", reason="Suspended")
    until(lambda: running.api.list("rayclusters", running.namespace) == [], within_s=60)
    running.change({"spec.suspend": False})
    running.until_ready()


def test_suspending_approves_no_plan(running: Installed) -> None:
    running.change({"spec.image": SECOND, "spec.upgrade": {"approval": "Manual"}})
    plan = running.until_condition("PlanPending", "True", reason="ApprovalNeeded").rpartition(" ")[2]
    running.change({"spec.suspend": True})
    until(lambda: running.api.list("rayservices", running.namespace) == [], within_s=30)

    running.change({"spec.suspend": False})

    running.until_condition("Suspended", None)
    running.until_condition("PlanPending", "True", reason="ApprovalNeeded")
    assert running.api.list("rayservices", running.namespace) == []
    running.change({"spec.upgrade": {"approvedPlan": plan}})
    running.until_ready()
    assert image(running) == SECOND


def test_missing_right_is_named(running: Installed) -> None:
    role = running.api.get("roles", f"{RELEASE}-operator", running.namespace)
    rules = [rule for rule in role["rules"] if rule["resources"] != ["rayservices"]]
    running.api.merge("roles", f"{RELEASE}-operator", {"rules": rules}, running.namespace)

    running.change({"spec.pipeline": {"workers": 4}})

    sentence = running.until_condition("Stalled", "True", reason="Forbidden")
    assert "lacks get rayservices" in sentence
    running.until_condition("Ready", "Unknown", reason="Forbidden", within_s=5)
    running.api.merge("roles", f"{RELEASE}-operator", {"rules": role["rules"]}, running.namespace)
    running.until_condition("Ready", "True", within_s=RETRY_WITHIN_S)


def test_changed_ca_is_checked_and_replaces_no_pod(release: Installed, certificates: list[str]) -> None:
    data = {"metadata": {"name": "postgres-ca"}, "stringData": {"ca.crt": certificates[0]}}
    release.api.create("secrets", data, release.namespace)
    release.helm(
        "install", {"spec.postgres.sslMode": "verify-full", "spec.postgres.caRef": {"name": "postgres-ca"}}
    )
    release.start()
    release.until_ready()
    before, jobs = release.child("rayservices"), names(release.api.list("jobs", release.namespace))

    change = {"stringData": {"ca.crt": certificates[1]}}
    release.api.merge("secrets", "postgres-ca", change, release.namespace)

    until(lambda: names(release.api.list("jobs", release.namespace)) - jobs, within_s=80)
    release.until_ready()
    after = release.child("rayservices")
    assert after["metadata"]["generation"] == before["metadata"]["generation"]
    assert after["spec"] == before["spec"]
    assert len(release.api.list("rayclusters", release.namespace)) == 1


def test_next_version_of_the_operator_replaces_no_pod(running: Installed) -> None:
    before = running.child("rayservices")
    running.kill()

    running.helm("upgrade", {}, "--set", "image.tag=0.2.0", "--set", "operator.podLabels.next=yes")
    running.start()

    path = f"/apis/ray.io/v1/namespaces/{running.namespace}/rayservices/{RELEASE}"
    running.gate.reads.clear()
    until(lambda: running.gate.reads[path] >= 2, within_s=60)
    running.until_ready()
    after = running.child("rayservices")
    assert after["metadata"]["generation"] == before["metadata"]["generation"]
    assert after["metadata"]["annotations"] == before["metadata"]["annotations"]
    assert len(running.api.list("rayclusters", running.namespace)) == 1


@contextmanager
def without_kuberay(cluster: ControlPlane) -> Iterator[None]:
    """Take its operator and its definitions away, and bring both back."""
    cluster.script("down.sh", "kuberay")
    for name in ("rayservices", "rayclusters", "rayjobs"):
        cluster.api.delete("customresourcedefinitions", f"{name}.ray.io")
    until(lambda: cluster.api.find("customresourcedefinitions", "rayservices.ray.io") is None)
    try:
        yield
    finally:
        cluster.script("up-kuberay.sh", "--use-kubernetes-proxy")


def active(release: Installed) -> str | None:
    """The Ray cluster that serves."""
    status = release.child("rayservices").get("status", {}).get("activeServiceStatus", {})
    name: str | None = status.get("rayClusterName")
    return name


def serving_image(release: Installed) -> str:
    """The image of the serving Ray cluster's head."""
    name = active(release)
    clusters = {one["metadata"]["name"]: one for one in release.api.list("rayclusters", release.namespace)}
    found: str = clusters[name]["spec"]["headGroupSpec"]["template"]["spec"]["containers"][0]["image"]
    return found


def image(release: Installed) -> str:
    """The image of the head in the present RayService."""
    head = release.child("rayservices")["spec"]["rayClusterConfig"]["headGroupSpec"]
    found: str = head["template"]["spec"]["containers"][0]["image"]
    return found


def names(objects: list[Object]) -> set[str]:
    """The names of the objects."""
    return {item["metadata"]["name"] for item in objects}
