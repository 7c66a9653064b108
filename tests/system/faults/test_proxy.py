"""The TCP proxy behaves as the fault tests expect."""

import socket
import socketserver
import threading
import time
from collections.abc import Iterator

import pytest

from signals.local.processes.ports import free_port
from signals.ray_node.variables import HOST
from tests.system.faults.proxy import TcpProxy, open_proxy

pytestmark = pytest.mark.faults_quick


class Echo(socketserver.BaseRequestHandler):
    """Echoes received bytes."""

    def handle(self) -> None:
        while data := self.request.recv(1024):
            self.request.sendall(data)


@pytest.fixture
def proxy() -> Iterator[TcpProxy]:
    """A proxy before an echo."""
    with socketserver.ThreadingTCPServer((HOST, 0), Echo) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        with open_proxy(free_port(), server.server_address[1]) as proxy:
            yield proxy
        server.shutdown()
        thread.join()


def connect(proxy: TcpProxy) -> socket.socket:
    return socket.create_connection((HOST, proxy.port), timeout=60)


def test_proxy_forwards_and_delays(proxy: TcpProxy) -> None:
    with connect(proxy) as client:
        client.sendall(b"now")
        assert client.recv(10) == b"now"
        proxy.latency_s = 0.2
        began = time.monotonic()
        client.sendall(b"later")
        assert client.recv(10) == b"later"
        assert time.monotonic() - began >= 0.4


def test_proxy_resets_open_connections_and_serves_the_next(proxy: TcpProxy) -> None:
    with connect(proxy) as client:
        client.sendall(b"hello")
        assert client.recv(10) == b"hello"
        assert proxy.reset_all() == 1
        with pytest.raises(ConnectionResetError):
            client.recv(10)
    with connect(proxy) as client:
        client.sendall(b"again")
        assert client.recv(10) == b"again"


def test_silent_proxy_forwards_held_bytes_after_restore(proxy: TcpProxy) -> None:
    with connect(proxy) as client:
        client.sendall(b"one")
        assert client.recv(10) == b"one"
        proxy.go_silent()
        client.sendall(b"two")
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(10)
        proxy.restore()
        client.settimeout(60)
        assert client.recv(10) == b"two"


def test_proxy_refuses_connections(proxy: TcpProxy) -> None:
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        connect(proxy)
    proxy.restore()
    connect(proxy).close()
