"""Waiting for the product to get ready, with a real process in the place of the Ray node."""

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from rich.console import Console

from signals.local import bring_up
from signals.local.errors import DiedError, LocalStackError, NotReadyError, PortTakenError
from signals.local.folder import StackFolder, StackState
from signals.local.processes.ports import free_port
from signals.local.processes.process import Command
from signals.local.processes.server_watch import dead
from signals.local.ray_head import DEFAULT_PORTS, OF_NODE, RayHead


def _head(root: Path, code: str) -> RayHead:
    state = StackState(data=str(root), password="unused", ports={"http": free_port()})
    head = RayHead(folder=StackFolder(root=root), state=state)
    head.process.start(_python(root, code))
    return head


def test_late_part_is_named_and_the_rest_stays_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bring_up, "QUIET_S", 0.1)
    head = _head(tmp_path, "import time; time.sleep(60)")
    with pytest.raises(NotReadyError, match=r"^not ready after \d+ s: the HTTP port; the rest runs; see"):
        bring_up.wait_until_ready(head.state.ports["http"], head)
    assert head.process.is_running()
    head.process.stop()


def test_leftovers_of_a_killed_node_are_ended_and_those_of_another_stack_are_not(tmp_path: Path) -> None:
    state = StackState(data=str(tmp_path), password="unused", ports={})
    with ExitStack() as stack:
        heads = [RayHead(folder=StackFolder(root=tmp_path / name), state=state) for name in ("a", "b")]
        ours, others = (
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", "import time; time.sleep(600)"],
                    env={**os.environ, OF_NODE: str(head.temp / "h" / "haproxy")},
                )
            )
            for head in heads
        )
        stack.callback(others.kill)
        stack.callback(ours.kill)
        heads[0].end_leftovers()
        assert ours.poll() is not None
        assert others.poll() is None


def test_dead_node_ends_the_wait_at_once(tmp_path: Path) -> None:
    head = _head(tmp_path, "raise SystemExit(1)")
    with pytest.raises(DiedError, match=r"^Ray has died: see"):
        bring_up.wait_until_ready(head.state.ports["http"], head)


def test_node_that_dies_while_it_starts_is_started_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = StackState(data=str(tmp_path), password="unused", ports={})
    head = RayHead(folder=StackFolder(root=tmp_path), state=state)
    console = Console()
    starts: list[str] = []

    def die(head: RayHead, _: object) -> None:
        starts.append(head.http_url)
        raise DiedError("ray died while starting; its last output:\n(nothing)")

    monkeypatch.setattr(RayHead, "start", die)
    with console.capture() as told, pytest.raises(DiedError):
        bring_up.start_node(head, {}, {}, console)
    assert len(starts) == 2
    assert "ray died while starting: starting Ray again" in told.get()


def _python(root: Path, *argv: str) -> Command:
    return Command(argv=(sys.executable, "-c", *argv), env=dict(os.environ), cwd=root)


def _free_head(root: Path) -> RayHead:
    ports = {name: free_port() for name in DEFAULT_PORTS}
    return RayHead(
        folder=StackFolder(root=root), state=StackState(data=str(root), password="unused", ports=ports)
    )


def test_node_that_died_while_it_started_is_still_meant_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = _free_head(tmp_path)
    monkeypatch.setattr(RayHead, "_command", lambda *_: _python(tmp_path, "raise SystemExit(1)"))
    with pytest.raises(DiedError, match=r"^ray died while starting"):
        bring_up.start_node(head, {}, {}, Console(quiet=True))
    assert dead(tmp_path) == ["ray"]
    head.process.stop()


def test_node_that_is_ended_to_start_elsewhere_is_still_meant_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = _free_head(tmp_path)

    def start(head: RayHead, _: object) -> None:
        head.process.start(_python(tmp_path, "import time; time.sleep(60)"))
        raise PortTakenError("another program listens on the port, too")

    def find_none(_: RayHead, __: object) -> str:
        raise LocalStackError("no free port")

    monkeypatch.setattr(RayHead, "start", start)
    monkeypatch.setattr(RayHead, "leave_http_port", find_none)
    with pytest.raises(LocalStackError, match="no free port"):
        bring_up.start_node(head, {}, {}, Console(quiet=True))
    assert dead(tmp_path) == ["ray"]
    head.process.stop()
