"""The Lease on a real API server: one holder, handed over at once when given back, and never shared."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from lightkube import Client, KubeConfig

from k8s.operator.cluster import LEASE, Cluster
from k8s.operator.lease import LeaseHolder, LeaseLost
from signals.local.processes.ports import free_port
from tests.k8s.control_plane.control_plane import CHART, ControlPlane
from tests.k8s.control_plane.fake_node import FakeNodes
from tests.k8s.control_plane.process import BIN, kubeconfig_of

DEADLINE_S = 90.0


@pytest.fixture
def door(cluster: ControlPlane) -> Iterator[Cluster]:
    """The operator's client of the API server."""
    with Client(config=KubeConfig.from_file(cluster.kubeconfig)) as client:
        yield Cluster(client)


def _lease(door: Cluster, namespace: str, identity: str) -> LeaseHolder:
    return LeaseHolder(
        door, namespace=namespace, name="operator", identity=identity, now=lambda: datetime.now(UTC)
    )


def _holder(door: Cluster, namespace: str) -> str:
    lease = door.read(LEASE, namespace, "operator")
    assert lease
    return str(lease["spec"]["holderIdentity"])


def test_second_operator_waits_until_the_first_gives_back(door: Cluster, namespace: str) -> None:
    first, second = (_lease(door, namespace, identity) for identity in ("first", "second"))

    async def hand_over() -> None:
        await first.acquire()
        waiting = asyncio.create_task(second.acquire())
        done, _ = await asyncio.wait({waiting}, timeout=1.0)
        assert not done
        assert _holder(door, namespace) == "first"
        await asyncio.to_thread(first.release)
        await asyncio.wait_for(waiting, DEADLINE_S)

    asyncio.run(hand_over())
    assert _holder(door, namespace) == "second"


def test_holder_notices_a_lost_lease(door: Cluster, namespace: str) -> None:
    first = _lease(door, namespace, "first")

    async def lose() -> None:
        await first.acquire()
        lease = door.read(LEASE, namespace, "operator")
        assert lease
        taken = lease | {"spec": lease["spec"] | {"holderIdentity": "thief"}}
        assert door.write_if_unchanged(taken)
        await asyncio.wait_for(first.keep(), DEADLINE_S)

    with pytest.raises(LeaseLost, match="thief"):
        asyncio.run(lose())
    first.release()
    assert _holder(door, namespace) == "thief"


def test_deleted_lease_is_made_again_with_the_charts_rights(
    cluster: ControlPlane, nodes: FakeNodes, namespace: str
) -> None:
    values = ("-f", str(CHART / "examples" / "kind.yaml"))
    cluster.run("helm", "install", "demo", str(CHART), "-n", namespace, *values)
    account = KubeConfig.from_file(kubeconfig_of(cluster, namespace, "demo-operator"))
    with Client(config=account) as client:
        first, second = (
            LeaseHolder(
                Cluster(client),
                namespace=namespace,
                name="signals-operator",
                identity=identity,
                now=lambda: datetime.now(UTC),
            )
            for identity in ("first", "second")
        )
        asyncio.run(asyncio.wait_for(first.acquire(), DEADLINE_S))
        cluster.api.delete("leases", "signals-operator", namespace)
        asyncio.run(asyncio.wait_for(second.acquire(), DEADLINE_S))
    lease = cluster.api.get("leases", "signals-operator", namespace)
    assert lease["spec"]["holderIdentity"] == "second"

    cluster.run("helm", "upgrade", "demo", str(CHART), "-n", namespace, *values)
    cluster.run("helm", "uninstall", "demo", "-n", namespace, "--wait")
    assert cluster.api.find("leases", "signals-operator", namespace) is None


def test_operator_without_the_right_to_the_lease_exits(cluster: ControlPlane, tmp_path: Path) -> None:
    """kopf, stopped while it starts, may wait for credentials indefinitely."""
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "KUBECONFIG": str(cluster.kubeconfig),
        "POD_NAMESPACE": "nowhere",
        "SIGNALS_OPERATOR_LISTEN": "127.0.0.1",
        "SIGNALS_OPERATOR_HEALTH_PORT": str(free_port()),
        "SIGNALS_OPERATOR_METRICS_PORT": str(free_port()),
    }
    ended = subprocess.run(
        [BIN / "signals-operator"], env=variables, capture_output=True, text=True, timeout=2 * DEADLINE_S
    )
    assert ended.returncode == 1
    assert "nowhere" in ended.stdout


def test_only_one_of_two_operators_takes_a_free_lease(door: Cluster, namespace: str) -> None:
    asyncio.run(_lease(door, namespace, "first").acquire())
    lease = door.read(LEASE, namespace, "operator")
    assert lease
    written = [
        door.write_if_unchanged(lease | {"spec": lease["spec"] | {"holderIdentity": identity}})
        for identity in ("one", "two")
    ]
    assert written[0]
    assert written[1] is None
