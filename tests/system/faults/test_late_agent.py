"""Ray's node starts on a machine that is so busy that its agents are late."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import psutil
import pytest

from signals.local.folder import StackFolder, StackState
from signals.local.processes.ports import free_port
from signals.local.ray_head import DEFAULT_PORTS, RayHead
from tests.support.waiting import pause, until
from tests.system.faults.processes import freeze, thaw

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

AGENTS: Final = ("ray/dashboard/agent.py", "runtime_env/agent/main.py")
LATE_S: Final = 25.0  # raylet waits 15 s for an agent that chooses its own port


@pytest.fixture
def head(tmp_path: Path) -> Iterator[RayHead]:
    """A node that is not started yet, with ports of its own."""
    state = StackState(data="", password="", ports={name: free_port() for name in DEFAULT_PORTS})
    head = RayHead(folder=StackFolder(root=tmp_path / "ray"), state=state)
    head.folder.root.mkdir()
    yield head
    head.process.stop()
    shutil.rmtree(head.temp)


def running(head: RayHead, program: str) -> list[psutil.Process]:
    """Return the processes of the node that run a program, before it gives itself another title."""
    holder = head.process.pid
    family = psutil.Process(holder).children(recursive=True) if holder else []
    return [process for process in family if any(program in part for part in _words(process))]


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()[:3]
    except psutil.NoSuchProcess:
        return []


def test_node_starts_although_its_agents_are_late(head: RayHead) -> None:
    with ThreadPoolExecutor(1) as pool:
        starting = pool.submit(head.start, {}, tie_to_parent=True)
        until(lambda: all(running(head, program) for program in AGENTS), within_s=120)
        agents = [agent for program in AGENTS for agent in running(head, program)]
        for agent in agents:
            freeze(agent.pid)
        pause(LATE_S)
        for agent in agents:
            thaw(agent.pid)
        starting.result()
    assert running(head, "raylet/raylet")
    assert all(agent.is_running() for agent in agents)
