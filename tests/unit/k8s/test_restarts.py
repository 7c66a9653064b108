"""An operator whose API server does not answer well: it tries again without end, alive and stoppable."""

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import pytest
from lightkube import Client, KubeConfig
from lightkube.config.models import Cluster as ServerOf
from lightkube.config.models import User
from structlog.testing import capture_logs

from k8s.operator import main, restarts
from k8s.operator.cluster import Cluster
from k8s.operator.settings import OperatorSettings
from signals.local.processes.ports import free_port

DEADLINE_S = 45.0  # kopf waits 5 s for its last tasks, and a minute before it repeats a failed clean-up
LONGEST_S = restarts.PAUSES_S[-1]
CORE = b'{"kind": "APIVersions", "versions": []}'
HALF = b'{"kind": "APIResourceList", "resou'


class _Garbled(BaseHTTPRequestHandler):
    """An API server that answers half a document, except about its core."""

    def do_GET(self) -> None:
        """Answer kopf, which asks for the core and for the other groups at once, and the Lease's holder."""
        body = CORE if self.path == "/api" else HALF
        self.send_response(httpx2.codes.OK)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Log nothing."""


@pytest.fixture
def garbled() -> Iterator[Cluster]:
    """The operator's client of such a server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Garbled) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        config = KubeConfig.from_one(cluster=ServerOf(server=url), user=User(token="t"))
        with Client(config=config) as client:
            yield Cluster(client)
        server.shutdown()


class _LeapingLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock a test moves."""

    leap_s = 0.0

    def time(self) -> float:
        return super().time() + self.leap_s


def test_longest_pause_repeats_until_the_api_server_answers() -> None:
    failures, pauses = 50, list[float]()

    async def run() -> str:
        if len(pauses) < failures:
            raise ConnectionRefusedError("refused")
        return "answered"

    async def pause(pause_s: float) -> bool:
        pauses.append(pause_s)
        return False

    with capture_logs() as logs:
        assert asyncio.run(restarts.repeat(run, pause=pause)) == "answered"

    first = len(restarts.PAUSES_S)
    assert tuple(pauses[:first]) == restarts.PAUSES_S
    assert pauses[first:] == [LONGEST_S] * (failures - first)
    assert {entry["error"] for entry in logs} == {"ConnectionRefusedError: refused"}
    assert len(logs) == failures


def test_pauses_begin_again_after_a_good_start() -> None:
    clock_s, pauses = 0.0, list[float]()

    async def run() -> None:
        nonlocal clock_s
        clock_s += restarts.STEADY_S + 1 if len(pauses) == 3 else 1
        raise ConnectionResetError

    async def pause(pause_s: float) -> bool:
        pauses.append(pause_s)
        return len(pauses) == 5

    asyncio.run(restarts.repeat(run, pause=pause, clock=lambda: clock_s))
    assert pauses == [0.5, 1.0, 2.0, 0.5, 1.0]


def test_paused_operator_answers_kubelet_and_ends_at_a_signal() -> None:
    port = free_port()

    async def answered() -> int:
        async with httpx2.AsyncClient(trust_env=False) as client:
            while True:
                try:
                    return (await client.get(f"http://127.0.0.1:{port}/healthz")).status_code
                except httpx2.ConnectError:
                    await asyncio.sleep(0.01)

    async def pause() -> bool:
        pausing = asyncio.create_task(restarts.alive_pause(3600, address="127.0.0.1", port=port))
        assert await asyncio.wait_for(answered(), DEADLINE_S) == httpx2.codes.OK
        os.kill(os.getpid(), signal.SIGTERM)
        return await asyncio.wait_for(pausing, DEADLINE_S)

    assert asyncio.run(pause())


def test_pause_ends_by_itself_without_a_signal() -> None:
    assert not asyncio.run(restarts.alive_pause(0.01, address="127.0.0.1", port=free_port()))


def test_failed_start_ends_soon_and_kills_no_later_run(
    garbled: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kopf, left alone, repeats a failed clean-up without end, and kills the process after ten minutes."""
    killed: list[object] = []
    monkeypatch.setattr(signal, "pthread_kill", lambda *arguments: killed.append(arguments))
    settings = OperatorSettings(
        pod_namespace="n",
        signals_operator_listen="127.0.0.1",
        signals_operator_health_port=free_port(),
    )
    loop, pauses = _LeapingLoop(), list[float]()

    async def run() -> BaseException | None:
        return await asyncio.wait_for(main._operate_once(settings, garbled), DEADLINE_S)

    async def pause(pause_s: float) -> bool:
        pauses.append(pause_s)
        loop.leap_s += 3600
        await asyncio.sleep(0.01)  # timers that are due now run first
        return True

    with capture_logs() as logs, asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(restarts.repeat(run, pause=pause))

    assert [entry["error"].partition(":")[0] for entry in logs if entry["event"] == "watching ended"] == [
        "JSONDecodeError"
    ]
    assert pauses == [restarts.PAUSES_S[0]]
    assert killed == []
