"""Ray's head pod is lost, without and with a Redis that keeps the head's state."""

import time
from typing import Final

import pytest

from tests.k8s.pods.release import NAMESPACE, READY_WITHIN_S, RELEASE, Deployed, timed
from tests.k8s.pods.servers import REDIS_ADDRESS
from tests.support.waiting import until
from tests.system.faults.prober import probing_both
from tests.system.faults.table import FaultRow
from tests.system.faults.trial import trial

pytestmark = [pytest.mark.pods, pytest.mark.timeout(2400)]
EVENTS_PER_S: Final = 10.0


def test_lost_head_pod_comes_back_without_hands(deployed: Deployed) -> None:
    lose_head(deployed, FaultRow(fault="Ray's head pod killed, without a Redis"), seed=63)


def test_workers_go_on_while_the_head_pod_is_away(deployed: Deployed) -> None:
    former = deployed.pods("head").keys()
    spec = {"ray": {"gcsFaultTolerance": {"address": deployed.variables[REDIS_ADDRESS]}}}
    with timed("a Redis for the head's state: a second cluster serves, the first has ended"):
        deployed.cluster.api.merge("signalsstacks", RELEASE, {"spec": spec}, NAMESPACE)
        until(
            lambda: deployed.is_replaced("head", former) and deployed.all_ready(),
            within_s=READY_WITHIN_S,
            every_s=1.0,
        )
    workers = containers(deployed)
    failures = lose_head(deployed, FaultRow(fault="Ray's head pod killed, with a Redis"), seed=64)
    assert containers(deployed) == workers
    assert not failures


def lose_head(deployed: Deployed, row: FaultRow, *, seed: int) -> list[str]:
    """Kill the head's pod under traffic and wait for its successor; return why requests failed."""
    with (
        trial(deployed.stage(), row, seed=seed, events_per_s=EVENTS_PER_S) as running,
        probing_both(running, deployed.url("core")) as probers,
    ):
        running.recovered()
        before = deployed.delete_pods("head", grace_s=0)
        began = time.monotonic()
        running.injected()
        until(
            lambda: deployed.is_replaced("head", before) and deployed.all_ready(),
            within_s=READY_WITHIN_S,
            every_s=1.0,
        )
        seconds = running.recovered(within_s=600)
        for prober in probers:
            gap = prober.longest_gap_s(began)
            print(f"gap {gap:.1f} s, {prober}")
    print(
        f"{row.fault}: whole after {seconds:.0f} s; "
        f"{row.acknowledged} events acknowledged meanwhile, {row.lost} lost, {row.double} double"
    )
    return [failure for prober in probers for failure in prober.unserved]


def containers(deployed: Deployed) -> set[str]:
    """Return the ids of the workers' containers: a restarted one has another."""
    pods = deployed.pods("worker").values()
    return {status["containerID"] for pod in pods for status in pod["status"]["containerStatuses"]}
