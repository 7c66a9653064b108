"""Ray is closed: no token, no answer; nothing of the running product listens beyond loopback.

The same start shows what clients get while Serve is not ready.
"""

import ipaddress
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import httpx2
import psutil
import pytest

from signals.local.ray_head import RayHead
from tests.support.product import Product, open_product
from tests.system.faults.processes import one_of

DIRECT_PORTS = range(30_000, 31_001)
"""Where Serve lets replicas listen for HAProxy."""
Told = TypeVar("Told")
CONNECT = "import ray; ray.init(); print(len(ray.nodes()))"


class Watcher(threading.Thread):
    """A client that asks both APIs for the whole of a start, and keeps each kind of answer once."""

    def __init__(self, base_url: str) -> None:
        super().__init__(daemon=True)
        self._base_url = base_url
        self.is_over = threading.Event()
        self.answers: set[tuple[str, int, str, bool]] = set()

    def run(self) -> None:
        """Ask until told to stop; a refused connection is no answer."""
        with httpx2.Client(base_url=self._base_url, trust_env=False, timeout=5) as client:
            while not self.is_over.wait(0.05):
                for path in ("/v1/events/healthz", "/v1/incidents"):
                    with suppress(httpx2.TransportError):
                        answer = client.get(path)
                        kind = answer.headers.get("content-type", "")
                        self.answers.add((path, answer.status_code, kind, "server" in answer.headers))


@pytest.fixture(scope="module")
def watchers() -> list[Watcher]:
    """The client that watched the start of the product; empty before it."""
    return []


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory, watchers: list[Watcher]) -> Iterator[Product]:
    """The whole product on a Ray node of its own, watched while Serve starts."""
    deploy = RayHead.deploy

    def deploy_watched(head: RayHead) -> None:
        watchers.append(Watcher(head.http_url))
        watchers[0].start()
        deploy(head)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RayHead, "deploy", deploy_watched)
        with open_product(tmp_path_factory.mktemp("closed")) as product:
            watchers[0].is_over.set()
            watchers[0].join()
            yield product


def test_every_answer_during_a_start_is_problem_json(product: Product, watchers: list[Watcher]) -> None:
    answers = watchers[0].answers
    assert {(path, status, kind) for path, status, kind, _ in answers} <= {
        ("/v1/events/healthz", 503, "application/problem+json"),
        ("/v1/events/healthz", 200, "application/json"),
        ("/v1/incidents", 503, "application/problem+json"),
        ("/v1/incidents", 401, "application/problem+json"),
    }
    assert {status for _, status, _, _ in answers} == {503, 200, 401}
    assert not any(names_server for *_, names_server in answers)


def test_head_and_compression_pass_the_proxy(product: Product) -> None:
    with httpx2.Client(base_url=product.head.http_url, trust_env=False) as client:
        head = client.head("/healthz")
        assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "15")
        assert client.get("/openapi.json").headers["content-encoding"] == "gzip"


def _processes(root_pid: int) -> list[psutil.Process]:
    root = psutil.Process(root_pid)
    return [root, *root.children(recursive=True)]


def _listening(process: psutil.Process) -> list[str]:
    return [
        f"{connection.laddr.ip}:{connection.laddr.port} of {process.name()}"
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]


def _told_by_each(root_pid: int, ask: Callable[[psutil.Process], Told]) -> list[Told]:
    """Ask every process; helpers of Ray and of HAProxy end at any moment, and then have nothing to tell."""
    told = []
    for process in _processes(root_pid):
        with suppress(psutil.NoSuchProcess):
            told.append(ask(process))
    return told


def _files(root: Path) -> Iterator[tuple[Path, bytes]]:
    """Yield every file with its content; one that is removed meanwhile holds nothing."""
    for folder, _, names in os.walk(root):
        for path in (Path(folder) / name for name in names):
            with suppress(FileNotFoundError):
                if path.is_file():
                    yield path, path.read_bytes()


def test_replica_answers_past_serves_bookkeeping(product: Product) -> None:
    """Serve ends a request after the time that its client names; HAProxy would take that header away."""
    replica = psutil.Process(one_of(product.root_pid, "core replica"))
    ports = [connection.laddr.port for connection in replica.net_connections("inet")]
    (port,) = {port for port in ports if port in DIRECT_PORTS}
    hurried = {"x-request-timeout-seconds": "0.000001", "x-request-id": "abc"}
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        answer = client.get("/healthz", headers=hurried)
        assert (answer.status_code, answer.headers.get_list("x-request-id")) == (200, ["abc"])
        assert client.get("/-/routes").json() == {"/": "core"}


def test_dashboard_is_one_process(product: Product) -> None:
    titles = _told_by_each(product.root_pid, lambda process: " ".join(process.cmdline()))
    assert [title for title in titles if title.startswith("ray-dashboard-") or "forkserver" in title] == []
    assert sum("signals.ray_node.dashboard" in title for title in titles) == 1


def _is_loopback(listener: str) -> bool:
    address = ipaddress.ip_address(listener.partition(" ")[0].rpartition(":")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def test_no_port_listens_beyond_loopback(product: Product) -> None:
    roots = [product.root_pid, *(server.process.pid for server in product.stack.servers.values())]
    listeners = [one for pid in roots if pid for found in _told_by_each(pid, _listening) for one in found]
    kinds = {listener.rpartition(" of ")[2] for listener in listeners}
    assert {"gcs_server", "raylet", "haproxy", "postgres", "java"} <= kinds
    assert sum("ray::" in kind for kind in kinds) >= 5, kinds  # replicas, proxy, controller, actors, agents
    assert [listener for listener in listeners if not _is_loopback(listener)] == []


@pytest.mark.parametrize(
    "listener", ["0.0.0.0:1 of a", ":::1 of a", "192.168.1.5:1 of a", "::ffff:10.0.0.1:1 of a"]
)
def test_loopback_check_finds_an_open_port(listener: str) -> None:
    assert not _is_loopback(listener)


def _status(product: Product, path: str, headers: dict[str, str], body: bytes | None = None) -> int:
    request = Request(
        product.head.dashboard_url + path, body, {"Content-Type": "application/json", **headers}
    )
    try:
        with urlopen(request, timeout=60) as answer:
            return int(answer.status)
    except HTTPError as error:
        with error:
            return error.code


@pytest.mark.parametrize("path", ["/api/version", "/api/jobs/", "/api/serve/applications/", "/api/v0/actors"])
def test_dashboard_and_jobs_answer_only_with_the_token(product: Product, path: str) -> None:
    token = product.head.folder.ray_token_path.read_text()
    assert _status(product, path, {}) == 401
    assert _status(product, path, {"Authorization": "Bearer guess"}) == 403
    assert _status(product, path, {"Authorization": f"Bearer {token}"}) == 200


def test_a_job_is_not_accepted_without_the_token(product: Product) -> None:
    job = json.dumps({"entrypoint": "true"}).encode()
    assert _status(product, "/api/jobs/", {}, job) == 401
    agent = f"http://127.0.0.1:{product.head.state.ports['ray_agent']}/api/job_agent/jobs/"
    with pytest.raises(HTTPError, match="401") as refused:
        urlopen(Request(agent, job, {"Content-Type": "application/json"}), timeout=60)
    refused.value.close()


def _connect(head: RayHead, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    known = {name: value for name, value in head.client_variables.items() if "AUTH" not in name}
    return subprocess.run(
        [sys.executable, "-c", CONNECT],
        env={**kept, **known, **variables},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_driver_connects_only_with_the_token(product: Product, tmp_path: Path) -> None:
    wrong = tmp_path / "guess"
    wrong.write_text("guess")
    for variables in (
        {"RAY_AUTH_MODE": "disabled"},
        {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(wrong)},
    ):
        refused = _connect(product.head, variables)
        assert refused.returncode != 0
        assert re.search("[Uu]nauthenticated|InvalidAuthToken|AuthenticationError", refused.stderr), (
            refused.stderr
        )
    allowed = _connect(product.head, product.head.client_variables)
    assert allowed.stdout.strip() == "1", allowed.stderr


def test_token_is_in_its_private_file_only(product: Product) -> None:
    head = product.head
    token = head.folder.ray_token_path.read_text()
    assert head.folder.ray_token_path.stat().st_mode & 0o777 == 0o600
    assert head.temp.stat().st_mode & 0o777 == 0o700
    told = _told_by_each(product.root_pid, lambda process: f"{process.cmdline()} {process.environ()}")
    assert [one for one in told if token in one] == []
    written = [found for root in (head.temp, head.folder.root) for found in _files(root)]
    assert [path for path, content in written if token.encode() in content] == [head.folder.ray_token_path]
