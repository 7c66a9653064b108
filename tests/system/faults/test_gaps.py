"""Gaps in service: how long no event is accepted after a process of the HTTP path was killed."""

import time
from collections.abc import Callable, Iterator
from typing import Final

import pytest

from signals.local.ray_head import SERVE_CONFIG
from signals.ray_node.serve_file import read_serve_file
from signals.ray_node.variables import HOST
from tests.support.product import Product
from tests.support.waiting import until
from tests.system.faults.busy import busy_machine
from tests.system.faults.prober import MOST_UNSERVED, STEADY, Prober, probing
from tests.system.faults.processes import kill, one_of, pids_of
from tests.system.faults.table import FaultRow
from tests.system.faults.trial import Stage, trial

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

Rows = Callable[[str], FaultRow]
KILLS: Final = 3
BUSY: Final = 10
LIMITS_S: Final = {"HAProxy manager": 5.0, "HAProxy": 5.0, "ingest replica": 3.0, "Serve controller": 3.0}
"""The longest gap that a kill may add to those that the machine has anyway.

The controller is not on the way of a request, but its successor's start takes a core for seconds.
"""


def kill_and_watch(product: Product, prober: Prober, kind: str, *, replicas: int = 1) -> float:
    """Kill one process of a kind; return the longest gap until its successor has served for a while."""
    victim = one_of(product.root_pid, kind)
    began = time.monotonic()
    kill(victim)

    def is_replaced() -> bool:
        pids = pids_of(product.root_pid, kind)
        return victim not in pids and len(pids) >= replicas

    until(is_replaced, within_s=120)
    replaced = time.monotonic()
    until(lambda: prober.accepted_since(replaced) > STEADY, within_s=120)
    return prober.longest_gap_s(began)


@pytest.mark.parametrize("busy", [0, BUSY], ids=["quiet", "busy"])
@pytest.mark.parametrize("kind", ["HAProxy manager", "HAProxy", "ingest replica", "Serve controller"])
def test_gap_after_a_kill(
    product: Product, product_stage: Stage, fault_row: Rows, kind: str, busy: int
) -> None:
    limit_s = LIMITS_S[kind]
    row = fault_row(f"gap: SIGKILL {kind}, {busy} busy processes beside it (at most {limit_s:g} s)")
    with (
        trial(product_stage, row, seed=61) as running,
        busy_machine(busy),
        probing(product_stage.project(running.project_id), running.traffic, running.sent) as prober,
    ):
        for _ in range(KILLS):
            row.recoveries_s.append(kill_and_watch(product, prober, kind))
            running.injected()
    row.failed = prober.failed
    assert max(row.recoveries_s) <= limit_s + prober.usual_gap_s
    if kind == "Serve controller":
        prober.assert_served()
    if kind == "ingest replica":  # a request that it had may fail: core-api takes the next ones
        assert len(prober.unserved) <= MOST_UNSERVED * prober.requests, prober.unserved


@pytest.fixture
def two_replicas(product: Product) -> Iterator[None]:
    """A second replica of ingest-api, gone at the end."""

    def deploy(replicas: int) -> None:
        config = read_serve_file(SERVE_CONFIG)
        config["http_options"] |= {"host": HOST, "port": product.head.state.ports["http"]}
        config["applications"][0]["deployments"] = [{"name": "ingest-api", "num_replicas": replicas}]
        product.head.dashboard.deploy(config)
        until(lambda: len(pids_of(product.root_pid, "ingest replica")) == replicas, within_s=120)

    deploy(2)
    try:
        yield
    finally:
        deploy(1)


@pytest.mark.usefixtures("two_replicas")
@pytest.mark.parametrize("busy", [0, BUSY], ids=["quiet", "busy"])
def test_one_of_two_replicas_dies_while_the_other_serves(
    product: Product, product_stage: Stage, fault_row: Rows, busy: int
) -> None:
    row = fault_row(f"gap: SIGKILL one of two ingest replicas, {busy} busy processes beside it")
    with (
        trial(product_stage, row, seed=62) as running,
        busy_machine(busy),
        probing(product_stage.project(running.project_id), running.traffic, running.sent) as prober,
    ):
        for _ in range(KILLS):
            row.recoveries_s.append(kill_and_watch(product, prober, "ingest replica", replicas=2))
            running.injected()
        row.failed = prober.failed
        prober.assert_served()
