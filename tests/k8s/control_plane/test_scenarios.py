"""Scenarios on a real API server and its Job controller; tests write the pods' termination messages."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import pytest
from lightkube import Client, KubeConfig

from k8s.operator.cluster import Cluster, Manifest
from k8s.operator.scenario.core_api import Question
from k8s.operator.scenario.expectations import IncidentLookup
from k8s.operator.scenario.reconciler import ScenarioReconciler
from tests.k8s.control_plane.api import Api, Object
from tests.k8s.control_plane.conditions import condition, message, reason
from tests.k8s.control_plane.control_plane import ControlPlane
from tests.k8s.control_plane.fake_node import FakeNodes, Outcome
from tests.k8s.control_plane.fake_ray import Answer
from tests.k8s.control_plane.installed import Installed
from tests.k8s.control_plane.specs import changed, scenario, stack
from tests.support.waiting import until

REPORT: Final = json.dumps({"sent": 500, "accepted": 499, "rejected": 1})
DONE: Final = Outcome(message=REPORT)
EXPECT: Final = {
    "incidentWithin": "5m",
    "summaryWithin": "10m",
    "readKeyRef": {"name": "keys", "key": "read"},
}


Done = TypeVar("Done")


class KilledError(Exception):
    """The operator was killed right after a write."""


class Dying(Cluster):
    """A client that raises after a number of writes."""

    def __init__(self, client: Client, writes: int) -> None:
        super().__init__(client)
        self._left = writes

    def create(self, manifest: Manifest) -> bool:
        return self._count(super().create(manifest))

    def apply(self, manifest: Manifest) -> Manifest:
        return self._count(super().apply(manifest))

    def write_status(self, manifest: Manifest) -> Manifest:
        return self._count(super().write_status(manifest))

    def _count(self, done: Done) -> Done:
        self._left -= 1
        if self._left == 0:
            raise KilledError
        return done


@dataclass(slots=True, kw_only=True)
class Stage:
    """A namespace with a Ready stack, and the reconciler over it."""

    api: Api
    client: Client
    namespace: str
    lookup: IncidentLookup = field(default_factory=IncidentLookup)
    now: datetime | None = None
    asked: list[Question] = field(default_factory=list)

    def reconciler(self, cluster: Cluster | None = None) -> ScenarioReconciler:
        return ScenarioReconciler(
            cluster or Cluster(self.client),
            ask=self.ask,
            now=lambda: self.now or datetime.now(UTC),
        )

    def ask(self, question: Question) -> IncidentLookup:
        self.asked.append(question)
        return self.lookup

    def start(self, change: dict[str, Any]) -> None:
        self.api.create("signalsscenarios", changed(scenario(), change), self.namespace)

    def step(self) -> timedelta | None:
        return self.reconciler().reconcile(self.namespace, "spike")

    def scenario(self) -> Object:
        return self.api.get("signalsscenarios", "spike", self.namespace)

    def job(self) -> Object:
        return self.api.get("jobs", "spike", self.namespace)

    def has_job(self) -> bool:
        return self.api.find("jobs", "spike", self.namespace) is not None

    def until(self, kind: str, status: str) -> Object:
        """Reconcile until the condition has this status."""

        def reached() -> Object:
            self.step()
            found = self.scenario()
            return found if condition(found, kind) == status else {}

        return until(reached, within_s=60, every_s=0.3)


@pytest.fixture
def stage(cluster: ControlPlane, api: Api, crds: None, nodes: FakeNodes, namespace: str) -> Iterator[Stage]:
    api.create("signalsstacks", stack(), namespace)
    ready = {"type": "Ready", "status": "True", "reason": "Serving", "message": "-"}
    ready["lastTransitionTime"] = "2026-11-24T12:00:00Z"
    api.merge("signalsstacks", "demo", {"status": {"conditions": [ready]}}, namespace, part="status")
    keys = {"metadata": {"name": "keys"}, "stringData": {"ingest": "sig_ingest_x", "read": "sig_read_x\n"}}
    api.create("secrets", keys, namespace)
    with Client(config=KubeConfig.from_file(cluster.kubeconfig)) as client:
        yield Stage(api=api, client=client, namespace=namespace)


@pytest.fixture
def decide(nodes: FakeNodes, namespace: str) -> Callable[[Outcome], None]:
    """Decide how the run's pods end."""
    return lambda outcome: nodes.decide(namespace, "spike", outcome)


def test_run_is_sent_counted_and_verified(stage: Stage, decide: Callable[[Outcome], None]) -> None:
    decide(Outcome(ends=False))
    stage.start({"spec.parallelism": 2, "spec.expect": EXPECT, "spec.ttlSecondsAfterFinished": 600})
    running = stage.until("Succeeded", "Unknown")
    job = stage.job()
    assert (job["spec"]["completionMode"], job["spec"]["completions"]) == ("Indexed", 2)
    assert "ttlSecondsAfterFinished" not in job["spec"]
    assert condition(running, "Verified") == "Unknown"
    decide(DONE)
    sent = stage.until("Succeeded", "True")
    assert (sent["status"]["sent"], sent["status"]["accepted"]) == (1000, 998)
    assert reason(sent, "Verified") == "LookingForIncident"
    stage.lookup = IncidentLookup(incident_id="i-1", summary_model="llama")
    verified = stage.until("Verified", "True")
    assert verified["status"]["incidentId"] == "i-1"
    assert message(verified, "Verified").startswith("998 of 1000 events (99.8 %) were accepted")
    question = stage.asked[-1]
    assert (question.url, question.key) == (f"http://demo-core.{stage.namespace}.svc:8000", "sig_read_x")
    job = stage.job()
    assert job["spec"]["ttlSecondsAfterFinished"] == 600


def test_second_pass_writes_nothing_and_a_removed_job_is_not_recreated(
    stage: Stage, decide: Callable[[Outcome], None]
) -> None:
    decide(DONE)
    stage.start({})
    done = stage.until("Verified", "True")
    assert stage.step() is None
    assert stage.scenario()["metadata"]["resourceVersion"] == done["metadata"]["resourceVersion"]
    stage.api.delete("jobs", "spike", stage.namespace)
    until(lambda: not stage.has_job())
    assert stage.step() is None
    assert not stage.has_job()
    assert stage.scenario()["metadata"]["resourceVersion"] == done["metadata"]["resourceVersion"]


def test_late_incident_fails_the_verdict_for_good(stage: Stage, decide: Callable[[Outcome], None]) -> None:
    decide(DONE)
    stage.start({"spec.expect": EXPECT})
    stage.until("Succeeded", "True")
    stage.now = datetime.now(UTC) + timedelta(minutes=6)
    failed = stage.until("Verified", "False")
    assert reason(failed, "Verified") == "NoIncident"
    stage.lookup = IncidentLookup(incident_id="i-1", summary_model="llama")  # too late
    stage.step()
    assert condition(stage.scenario(), "Verified") == "False"


def test_failed_pods_are_reported_and_the_others_finish(
    stage: Stage, decide: Callable[[Outcome], None]
) -> None:
    decide(Outcome(exit_code=1, message=REPORT))
    stage.start({"spec.parallelism": 2})
    failed = stage.until("Succeeded", "False")
    assert reason(failed, "Succeeded") == "NotAllAccepted"
    assert failed["status"]["sent"] == 1000
    assert condition(failed, "Verified") == "False"


def test_job_deleted_during_the_run_is_not_repeated(stage: Stage, decide: Callable[[Outcome], None]) -> None:
    decide(Outcome(ends=False))
    stage.start({})
    until(lambda: stage.step() and "startedAt" in stage.scenario()["status"])
    stage.api.delete("jobs", "spike", stage.namespace)
    until(lambda: not stage.has_job())
    failed = stage.until("Succeeded", "False")
    assert "a run is not repeated" in message(failed, "Succeeded")
    assert not stage.has_job()


def test_suspended_run_begins_when_it_is_resumed(stage: Stage, decide: Callable[[Outcome], None]) -> None:
    decide(DONE)
    stage.start({"spec.suspend": True})
    waiting = stage.until("Succeeded", "Unknown")
    assert reason(waiting, "Succeeded") == "Suspended"
    assert stage.api.list("pods", stage.namespace) == []
    stage.api.merge("signalsscenarios", "spike", {"spec": {"suspend": False}}, stage.namespace)
    stage.until("Verified", "True")


def test_run_waits_for_its_stack(stage: Stage, decide: Callable[[Outcome], None]) -> None:
    decide(DONE)
    stage.api.delete("signalsstacks", "demo", stage.namespace)
    stage.start({})
    missing = stage.until("Succeeded", "Unknown")
    assert reason(missing, "Succeeded") == "StackNotFound"
    stage.api.create("signalsstacks", stack(), stage.namespace)
    stage.step()
    assert reason(stage.scenario(), "Succeeded") == "StackNotReady"
    assert not stage.has_job()


@pytest.mark.parametrize("writes", [1, 2, 3, 4])
def test_operator_killed_after_any_write_reaches_the_same_result(
    stage: Stage, decide: Callable[[Outcome], None], writes: int
) -> None:
    decide(DONE)
    stage.lookup = IncidentLookup(incident_id="i-1", summary_model="llama")
    stage.start({"spec.expect": EXPECT})
    dying = stage.reconciler(Dying(stage.client, writes))

    def killed() -> bool:
        try:
            return dying.reconcile(stage.namespace, "spike") is None
        except KilledError:
            return True

    until(killed, within_s=60, every_s=0.3)
    done = stage.until("Verified", "True")
    assert (done["status"]["sent"], done["status"]["accepted"]) == (500, 499)
    assert len(stage.api.list("pods", stage.namespace)) == 1
    stage.step()
    job = stage.job()
    assert job["spec"]["ttlSecondsAfterFinished"] == 3600


def test_installed_operator_verifies_a_scenario_with_the_charts_rights(release: Installed) -> None:
    keys = {"metadata": {"name": "keys"}, "stringData": {"ingest": "sig_ingest_x", "read": "sig_read_x"}}
    release.api.create("secrets", keys, release.namespace)
    release.nodes.decide(release.namespace, "spike", DONE)
    incident = {"id": "i-1", "fingerprint": "UPSTREAM_TIMEOUT|/checkout|prod", "summary_model": "llama"}
    page = Answer(body={"incidents": [incident], "next_cursor": None})
    release.ray.pages[f"demo-core.{release.namespace}.svc", "/v1/incidents"] = page
    release.helm("install", {}, "--set", "operator.secretNames={keys}")
    release.api.create("signalsscenarios", changed(scenario(), {"spec.expect": EXPECT}), release.namespace)
    release.start()
    release.until_ready()

    def verified() -> Object:
        found = release.api.get("signalsscenarios", "spike", release.namespace)
        return found if condition(found, "Verified") == "True" else {}

    found = until(verified, within_s=90)
    assert message(found, "Verified") == (
        "499 of 500 events (99.8 %) were accepted; incident i-1 was opened; llama summarized it"
    )
    assert release.gate.refused == []
    release.kill()
    release.api.delete("signalsscenarios", "spike", release.namespace)
    until(lambda: release.api.find("jobs", "spike", release.namespace) is None)
