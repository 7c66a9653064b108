"""Waiting for the product to get ready, with a real process in the place of the Ray node."""

import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from rich.console import Console

from signals.local import bring_up, ray_head
from signals.local.errors import DiedError, LocalStackError, NotReadyError, PortTakenError
from signals.local.folder import StackFolder, StackState
from signals.local.processes.ports import free_port
from signals.local.processes.process import Command
from signals.local.processes.server_watch import missing
from signals.local.ray_head import DEFAULT_PORTS, OF_NODE, RayHead
from signals.ray_node.variables import HOST

DASHBOARD = """
import json, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

applications = {}

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"ray_version": "of a test", "applications": applications}).encode())

    def do_PUT(self):
        for application in json.loads(self.rfile.read(int(self.headers["Content-Length"])))["applications"]:
            applications[application["name"]] = {}
        self.do_GET()

while not Path(sys.argv[2]).exists():
    time.sleep(0.05)
HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
"""Answers as the dashboard of a node that has no applications at first, once a file exists."""


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
    assert missing(tmp_path) == {"ray": "died"}
    head.process.stop()


def test_apis_keep_their_port_when_the_watchdog_starts_the_node(tmp_path: Path) -> None:
    head = _free_head(tmp_path)
    port = head.state.ports["http"]
    told = rf"^port {port} for http is in use by .*\(pid {os.getpid()}\)"
    with socket.create_server((HOST, port)), pytest.raises(LocalStackError, match=told):
        bring_up.start_node(head, {}, {}, Console(quiet=True), keeps_http=True)
    assert head.state.ports["http"] == port
    assert not head.process.is_running()


def test_server_that_dies_meanwhile_ends_the_wait_for_the_applications(tmp_path: Path) -> None:
    """Without it nothing gets ready, and only an end of the wait lets the watchdog start it."""
    head = _head(tmp_path, "import time; time.sleep(60)")
    head.folder.pid_path("kafka").write_text("{}")
    with pytest.raises(NotReadyError, match=r"^kafka died meanwhile; the rest runs"):
        bring_up.wait_until_ready(head.state.ports["http"], head)
    assert head.process.is_running()
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
    assert missing(tmp_path) == {"ray": "died"}
    head.process.stop()


def test_start_of_a_late_node_is_complete_when_it_has_its_applications(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = _free_head(tmp_path)
    gate, port = tmp_path / "gate", head.state.ports["ray_dashboard"]
    node = _python(tmp_path, DASHBOARD, str(port), str(gate))
    monkeypatch.setattr(RayHead, "_command", lambda *_: node)
    monkeypatch.setattr(ray_head, "QUIET_START_S", 0.1)
    monkeypatch.setattr(bring_up, "wait_until_ready", lambda *_: None)
    with pytest.raises(NotReadyError, match=r"^ray is not ready after"):
        bring_up.start_node(head, {}, {}, Console(quiet=True))
    assert missing(tmp_path) == {"ray": "starting"}
    gate.touch()
    monkeypatch.setattr(ray_head, "QUIET_START_S", 60.0)
    head.wait_until_ready()
    assert missing(tmp_path) == {"ray": "starting"}
    bring_up.continue_node(head, is_outdated=False, console=Console(quiet=True))
    assert missing(tmp_path) == {}
    assert head.applications()
    head.process.stop()
