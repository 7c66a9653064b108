"""HAProxy outlives its manager, and one that is killed is replaced: the known routes serve all the time."""

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from signals.local.processes.ports import free_port
from signals.ray_node.haproxy import EDITS, renew_haproxy_launcher, write_haproxy_launcher
from tests.support.waiting import until
from tests.unit.ray_node.haproxy_process import get

MANAGED = """
global
    stats socket {folder}/admin.sock mode 666 level admin expose-fd listeners
defaults
    mode http
    timeout connect 1s
    timeout client 5s
    timeout server 5s
frontend http_frontend
    bind 127.0.0.1:{port}
    {route}
    default_backend default_backend
backend default_backend
    http-request return status 404 content-type text/plain lf-string "Path not found."
"""
ROUTES = """
backend http-core
    http-request return status 200 content-type text/plain string "known"
"""


@dataclass(slots=True)
class Managed:
    """HAProxy as a manager starts it, and a client that asks it all the time."""

    folder: Path
    port: int
    processes: "list[subprocess.Popen[bytes]]" = field(default_factory=list)
    answers: list[tuple[int, str]] = field(default_factory=list)

    @property
    def config(self) -> Path:
        """The file that each manager writes anew."""
        return self.folder / "haproxy.cfg"

    @property
    def serving_pid(self) -> int:
        """The HAProxy that serves now."""
        pids = until(lambda: (self.folder / "haproxy.cfg.pid").read_text().split())  # it is written anew
        return int(pids[0])

    def start(self, *, knows_routes: bool) -> "subprocess.Popen[bytes]":
        """Start one as a manager does that knows of no other HAProxy."""
        route, routes = ("use_backend http-core if TRUE", ROUTES) if knows_routes else ("", "")
        self.config.write_text(MANAGED.format(folder=self.folder, port=self.port, route=route) + routes)
        launcher = self.folder / "h" / "haproxy"
        self.processes.append(subprocess.Popen([launcher, "-db", "-f", self.config, "-dR"]))
        return self.processes[-1]

    def serves(self) -> bool:
        """Whether it answers with the known route."""
        answer = get(f"http://127.0.0.1:{self.port}/v1/incidents")
        return answer is not None and (answer.status_code, answer.text) == (200, "known")

    def answers_manager(self) -> bool:
        """Whether a process answers on the manager's socket, as its health check asks."""
        with socket.socket(socket.AF_UNIX) as admin:
            return admin.connect_ex(str(self.folder / "admin.sock")) == 0


@pytest.fixture
def managed(tmp_path: Path) -> Iterator[Managed]:
    """A HAProxy with routes, serving; nothing of it runs at the end."""
    write_haproxy_launcher(tmp_path / "h" / "haproxy", edits=EDITS)
    managed = Managed(tmp_path, free_port())
    managed.start(knows_routes=True)
    until(managed.serves)
    try:
        yield managed
    finally:
        serving = managed.serving_pid
        (tmp_path / "haproxy.cfg.pid").unlink()  # so that nothing stands in
        with suppress(ProcessLookupError):
            os.kill(serving, signal.SIGKILL)
        for process in managed.processes:
            process.kill()
            process.wait()


@contextmanager
def asked_without_failure(managed: Managed) -> Iterator[None]:
    """Ask all the time while the block runs; each answer must be that of the known route."""
    stopping, answers = threading.Event(), set[bool]()

    def ask() -> None:
        while not stopping.wait(0.005):
            answers.add(managed.serves())

    client = threading.Thread(target=ask)
    client.start()
    try:
        yield
    finally:
        stopping.set()
        client.join()
    assert answers == {True}


def test_next_manager_takes_over_the_haproxy_of_a_killed_one(managed: Managed) -> None:
    """It knows no routes at first: those of its predecessor serve, and no request fails meanwhile."""
    (first,) = managed.processes
    assert os.getsid(first.pid) == first.pid  # and so it outlives its manager's group of processes
    with asked_without_failure(managed):
        second = managed.start(knows_routes=False)
        first.wait(60)
        until(managed.answers_manager)
    assert managed.serving_pid == second.pid


def test_killed_haproxy_is_replaced_before_its_manager_is(managed: Managed) -> None:
    for _ in range(2):  # the stand-in may be killed as well
        killed = managed.serving_pid
        os.kill(killed, signal.SIGKILL)
        managed.processes[0].wait(60)
        until(lambda was=killed: managed.serving_pid != was)  # type: ignore[misc]
        until(managed.serves)
        assert not managed.answers_manager()
    stand_in = managed.serving_pid
    with asked_without_failure(managed):
        managed.start(knows_routes=False)
        until(managed.answers_manager)
        until(lambda: not Path(f"/proc/{stand_in}").exists())


def test_renewed_launcher_knows_the_routes_of_a_release_that_kept_none(tmp_path: Path) -> None:
    launcher, config = tmp_path / "h" / "haproxy", tmp_path / "h" / "node" / "haproxy.cfg"
    write_haproxy_launcher(launcher)
    former = launcher.read_text()
    launcher.write_text("of an earlier release")
    config.parent.mkdir()
    config.write_text("backend http-core\n")
    renew_haproxy_launcher(launcher)
    assert launcher.read_text() == former
    assert (tmp_path / "h" / "node" / "haproxy.cfg.known").read_text() == "backend http-core\n"
