"""The loop under the Lease: its end ends the process and says why in a sentence."""

import asyncio
from datetime import timedelta

import httpx2
from lightkube import Client, KubeConfig
from lightkube.config.models import Cluster as ServerOf
from lightkube.config.models import User
from structlog.testing import capture_logs

from k8s.operator.cluster import Cluster
from k8s.operator.handlers import Loop
from k8s.operator.lease import LeaseHolder, LeaseLost
from k8s.operator.work_queue import Key, WorkQueue
from tests.unit.k8s.facts import NOW

DEADLINE_S = 10.0


class _Lost(LeaseHolder):
    """A Lease that another operator takes at once."""

    async def acquire(self) -> None:
        """Take the Lease at once."""

    async def keep(self) -> None:
        """Lose the Lease."""
        raise LeaseLost("other holds the Lease operator")


def _nothing(_: Key) -> timedelta | None:
    return None


def test_lost_lease_stops_the_process_with_its_message() -> None:
    config = KubeConfig.from_one(cluster=ServerOf(server="http://api.example"), user=User(token="t"))
    transport = httpx2.MockTransport(lambda _: httpx2.Response(500))

    async def run(cluster: Cluster) -> None:
        lease = _Lost(cluster, namespace="n", name="operator", identity="me", now=lambda: NOW)
        stop = asyncio.Event()
        Loop(WorkQueue(_nothing), lease, stop).start()
        await asyncio.wait_for(stop.wait(), DEADLINE_S)

    with capture_logs() as logs, Client(config=config, transport=transport) as client:
        asyncio.run(run(Cluster(client)))
    [said] = [entry["error"] for entry in logs if entry["event"] == "the loop ended"]
    assert said == "LeaseLost: other holds the Lease operator"
