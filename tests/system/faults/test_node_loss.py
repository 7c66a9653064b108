"""A second Ray node is lost; its consumers restart on the first one without intervention.

The loss of the head node is the subject of `test_head_loss.py`.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

import psutil
import pytest

from signals.local.processes.ports import free_port
from signals.local.processes.process import ChildProcess, Command
from signals.ray_node.variables import HOST
from tests.support.product import Product
from tests.support.waiting import until
from tests.system.faults.processes import kill, pids_of
from tests.system.faults.table import FaultRow
from tests.system.faults.trial import Stage, trial

KINDS: Final = ("incident-engine", "indexer", "ai-worker")
JOIN: Final = """
from ray._private.node import Node
from ray._private.parameter import RayParams
Node(RayParams(gcs_address="{gcs}", redis_address="{gcs}", node_ip_address="{host}", num_cpus=2,
    object_store_memory=80_000_000, dashboard_agent_listen_port={agent}, metrics_export_port={metrics},
    include_log_monitor=False), head=False, shutdown_at_exit=False, spawn_reaper=False)
print("joined", flush=True)
"""
"""As `ray.cluster_utils` does: `ray start` joins no cluster whose addresses are on loopback."""
DRAIN: Final = """
import time
import ray
from ray._raylet import GcsClient
from ray.core.generated import autoscaler_pb2
ray.init(address="{gcs}", log_to_driver=False)
def alive():
    return [n for n in ray.nodes() if n["Alive"] and "node:__internal_head__" not in n["Resources"]]
while len(alive()) != 1:
    time.sleep(0.5)  # a node that was killed before may count as alive for a while
[node] = alive()
accepted, why = GcsClient(address="{gcs}").drain_node(
    node["NodeID"], autoscaler_pb2.DrainNodeReason.DRAIN_NODE_REASON_PREEMPTION, "test",
    int((time.time() + 600) * 1000))
print("drained" if accepted else why)
"""
EACH: Final = 2  # consumers of a kind in this package's product

pytestmark = pytest.mark.faults


@contextmanager
def _second_node(product: Product, folder: Path) -> Iterator[int]:
    """Join a node of its own processes on the same machine; yield the process that holds it."""
    head = product.head
    start = JOIN.format(gcs=head.address, host=HOST, agent=free_port(), metrics=free_port())
    known = {name: value for name, value in product.environment.items() if value}
    ours = head._command(known).env
    argv = (sys.executable, "-m", "signals.ray_node.holder", sys.executable, "-c", start)
    node = ChildProcess(name="node", pid_path=folder / "node.json", log_path=folder / "node.log")
    node.start(Command(argv=argv, env={**ours, **head.client_variables}, cwd=folder), tie_to_parent=True)
    try:
        node.wait_until_ready(lambda: "joined" in node.output(), 300)
        assert node.pid is not None
        yield node.pid
    finally:
        node.stop()  # also ends the watch over a node that was killed


def _spread_to(node_pid: int, product: Product) -> None:
    """Kill consumers on the head until one of each kind has come back on the second node."""
    for kind in KINDS:
        for _ in range(12):
            here = until(partial(_all, product, node_pid, kind), within_s=180)
            if pids_of(node_pid, kind):
                break
            kill(here[0])
            until(partial(_is_gone, here[0]), within_s=60)
        assert pids_of(node_pid, kind), f"no {kind} came to the second node"


def _is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _all(product: Product, node_pid: int, kind: str) -> list[int]:
    """Return the consumers of a kind on both nodes, once there are as many as there must be."""
    pids = [*pids_of(product.root_pid, kind), *pids_of(node_pid, kind)]
    return pids if len(pids) == EACH else []


def _kill_whole(node_pid: int) -> None:
    root = psutil.Process(node_pid)
    for process in (root, *root.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            process.kill()


def test_consumers_of_a_lost_node_come_back_on_the_other(
    product: Product, product_stage: Stage, fault_row: Callable[[str], FaultRow], tmp_path: Path
) -> None:
    with (
        _second_node(product, tmp_path) as node_pid,
        trial(product_stage, fault_row("SIGKILL of a whole Ray node"), seed=41) as running,
    ):
        _spread_to(node_pid, product)
        running.recovered()
        _kill_whole(node_pid)
        running.injected()
        print(f"recovered from the loss of a node after {running.recovered():.1f} s")
        until(lambda: all(len(pids_of(product.root_pid, kind)) == EACH for kind in KINDS), within_s=120)


def test_consumers_leave_a_draining_node_by_themselves(
    product: Product, product_stage: Stage, fault_row: Callable[[str], FaultRow], tmp_path: Path
) -> None:
    with (
        _second_node(product, tmp_path) as node_pid,
        trial(product_stage, fault_row("drain of a Ray node"), seed=43) as running,
    ):
        _spread_to(node_pid, product)
        running.recovered()
        _drain_second(product)
        running.injected()
        until(lambda: not any(pids_of(node_pid, kind) for kind in KINDS), within_s=120)
        assert psutil.Process(node_pid).is_running()
        print(f"recovered from the drain of a node after {running.recovered():.1f} s")
        until(lambda: all(len(pids_of(product.root_pid, kind)) == EACH for kind in KINDS), within_s=120)


def _drain_second(product: Product) -> None:
    """Announce that the node which is not the head goes away in ten minutes, as an autoscaler does."""
    known = {name: value for name, value in product.environment.items() if value}
    environment = {**os.environ, **known, **product.head.client_variables}
    done = subprocess.run(
        [sys.executable, "-c", DRAIN.format(gcs=product.head.address)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "drained"
