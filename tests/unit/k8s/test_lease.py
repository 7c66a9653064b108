"""The Lease while the wall clock leaps: both sides go by their own monotonic clock."""

import asyncio
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import httpx2
import pytest
from lightkube import Client, KubeConfig
from lightkube.config.models import Cluster as ServerOf
from lightkube.config.models import User
from structlog.testing import capture_logs

from k8s.operator.cluster import Cluster
from k8s.operator.lease import LeaseHolder, LeaseLost
from tests.unit.k8s.facts import NOW

FOREVER_S = 1000.0


class _World:
    """A monotonic clock that only pauses move, a wall clock that leaps at each look, and a stored Lease."""

    def __init__(self, *, holder: str, leap: timedelta = timedelta()) -> None:
        metadata = {"name": "operator", "namespace": "n", "resourceVersion": "1"}
        self.lease: dict[str, Any] = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata,
            "spec": {"holderIdentity": holder, "renewTime": "t"},
        }
        self.clock_s = 0.0
        self.is_silent: Callable[[float], bool] = lambda _: False
        self.before_answer: Callable[[], None] = lambda: None
        self._leap = leap
        self._now = NOW

    def now(self) -> datetime:
        """The wall clock."""
        self._now += self._leap
        return self._now

    async def pause(self, pause_s: float) -> None:
        """Let this time pass at once."""
        self.clock_s += pause_s
        assert self.clock_s < FOREVER_S

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        """The API server."""
        if self.is_silent(self.clock_s):
            raise httpx2.ConnectError("refused", request=request)
        self.before_answer()
        if request.method == "PUT":
            self.lease = json.loads(request.content)
        return httpx2.Response(200, json=self.lease)

    def holder_of(self, client: Client, identity: str) -> LeaseHolder:
        """An operator in this world."""
        return LeaseHolder(
            Cluster(client),
            namespace="n",
            name="operator",
            identity=identity,
            now=self.now,
            clock=lambda: self.clock_s,
            pause=self.pause,
        )

    def client(self) -> Client:
        """A client of the API server."""
        config = KubeConfig.from_one(cluster=ServerOf(server="http://api.example"), user=User(token="t"))
        return Client(config=config, transport=httpx2.MockTransport(self.answer))


@pytest.mark.parametrize("leap", [timedelta(hours=1), timedelta(hours=-1)])
def test_waiting_operator_leaves_a_live_lease_although_the_wall_clock_leaps(leap: timedelta) -> None:
    """The holder renews every 5 s for a minute, then falls silent."""
    world = _World(holder="other", leap=leap)

    def renew() -> None:
        if world.clock_s <= 60:
            world.lease["spec"]["renewTime"] = f"renewal {world.clock_s // 5}"

    world.before_answer = renew
    with world.client() as client:
        asyncio.run(world.holder_of(client, "me").acquire())

    assert world.lease["spec"]["holderIdentity"] == "me"
    assert world.clock_s == 77.5  # the first look later than 15 s after the last renewal


@pytest.mark.parametrize("leap", [timedelta(hours=1), timedelta(hours=-1)])
def test_holder_ends_after_15_s_of_silence_however_the_wall_clock_leaps(leap: timedelta) -> None:
    """A shorter silence is outlasted."""
    world = _World(holder="me", leap=leap)
    world.is_silent = lambda at_s: at_s in (5, 10) or at_s > 30
    with world.client() as client, pytest.raises(LeaseLost, match="could not be renewed"):
        asyncio.run(world.holder_of(client, "me").keep())

    assert world.clock_s == 50  # the first look later than 15 s after the last renewal


def test_lease_that_cannot_be_released_is_only_logged() -> None:
    world = _World(holder="me")
    world.is_silent = lambda _: True
    with capture_logs() as logs, world.client() as client:
        world.holder_of(client, "me").release()
    assert [entry["event"] for entry in logs] == ["lease not released"]
