"""The product on a real node: installation, upgrade under traffic and faults lose no event.

Ray, KubeRay, kubelet, containers, Services and the servers are real; times are printed (pytest -s).
"""

from typing import Final

import httpx2
import pytest

from signals.domain.access.scopes import Scope
from tests.k8s.control_plane import conditions
from tests.k8s.control_plane.api import Object
from tests.k8s.pods.release import NAMESPACE, NEXT, PRESENT, RELEASE, Deployed, timed
from tests.support.releases import NEXT_NAME, has_next_field
from tests.support.waiting import until
from tests.system.faults.prober import probing_both
from tests.system.faults.rule_editor import RuleEditor
from tests.system.faults.table import FaultRow
from tests.system.faults.trial import trial

pytestmark = [pytest.mark.pods, pytest.mark.timeout(2400)]
PROJECT: Final = "pods"
EVENTS_PER_S: Final = 10.0


def test_both_apis_answer_through_their_services(deployed: Deployed) -> None:
    until(lambda: answers(f"{deployed.url('core')}/readyz", 200), within_s=60)
    until(lambda: answers(f"{deployed.url('ingest')}/v1/events/healthz", 200), within_s=60)


def test_spike_becomes_an_incident_with_its_summary(deployed: Deployed) -> None:
    keys = {scope.value: deployed.key(PROJECT, scope) for scope in (Scope.INGEST, Scope.READ)}
    api = deployed.cluster.api
    api.create("secrets", {"metadata": {"name": "keys"}, "stringData": keys}, NAMESPACE)
    scenario = {
        "apiVersion": "signals.copilot.dev/v1alpha1",
        "kind": "SignalsScenario",
        "metadata": {"name": "spike"},
        "spec": {
            "type": "Loadgen",
            "stackRef": {"name": RELEASE},
            "apiKeyRef": {"name": "keys", "key": Scope.INGEST.value},
            "loadgen": {"mode": "spike_errors", "rate": 10, "duration": "90s"},
            "expect": {
                "incidentWithin": "4m",
                "summaryWithin": "5m",
                "readKeyRef": {"name": "keys", "key": Scope.READ.value},
            },
        },
    }
    with timed("scenario until Verified"):
        api.create("signalsscenarios", scenario, NAMESPACE)
        until(
            lambda: conditions.condition(verdict(deployed), "Verified") not in (None, "Unknown"), within_s=480
        )
    found = verdict(deployed)
    assert conditions.condition(found, "Verified") == "True", found["status"]
    assert found["status"]["accepted"] == found["status"]["sent"] > 0


def test_deleted_worker_pod_is_replaced(deployed: Deployed) -> None:
    row = FaultRow(fault="a worker pod deleted")
    with trial(deployed.stage(), row, seed=61, events_per_s=EVENTS_PER_S) as running:
        before = deployed.delete_pods("worker")
        running.injected()
        # The old pod goes on serving for a while as it ends: only then is the new one on its own.
        until(lambda: deployed.is_replaced("worker", before), within_s=600, every_s=1.0)
        seconds = running.recovered(within_s=600)
    print(f"worker pod deleted: a new one counts and indexes {seconds:.0f} s later")


def test_upgrades_under_traffic_lose_and_double_nothing(deployed: Deployed) -> None:
    row = FaultRow(fault="upgrades in pods: schema, index and rule; the next release, and back")
    core = deployed.url("core")
    with (
        trial(deployed.stage(), row, seed=62, events_per_s=EVENTS_PER_S) as running,
        probing_both(running, core) as probers,
    ):
        rule = RuleEditor(deployed.servers.postgres, core, running.project_id)
        for tag in (NEXT, PRESENT):
            with timed(f"upgrade to image {tag}"):
                deployed.upgrade(tag)
            with timed("the former cluster's end"):
                until(lambda: len(deployed.pods("head")) == 1, within_s=600, every_s=1.0)
            rule.change()
            running.injected()
            running.recovered(within_s=600)
            until(lambda: has_next_name(core) == (tag == NEXT))  # noqa: B023  # called before the next turn
    print(*probers, sep="\n")
    print(f"upgrades: {row.acknowledged} events acknowledged meanwhile, {row.lost} lost, {row.double} double")
    assert has_next_field(deployed.servers.opensearch)
    for prober in probers:
        prober.assert_served()


def verdict(deployed: Deployed) -> Object:
    """The scenario as it is."""
    return deployed.cluster.api.get("signalsscenarios", "spike", NAMESPACE)


def has_next_name(core_url: str) -> bool:
    """Whether core-api is of the release after this one."""
    return bool(httpx2.get(core_url, trust_env=False).json()["name"] == NEXT_NAME)


def answers(url: str, status: int) -> bool:
    """Whether a GET is answered so now."""
    try:
        return httpx2.get(url, timeout=5, trust_env=False).status_code == status
    except httpx2.TransportError:
        return False
