"""A proxy that ends TLS with certificates of its own, as companies put before the internet."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import trustme


@dataclass(frozen=True, slots=True, kw_only=True)
class ResigningProxy:
    """Its address, the file with its CA, and the pages it has, by `host/path`."""

    url: str
    ca_path: Path
    pages: dict[str, bytes]
    asked: list[str] = field(default_factory=list)


@contextmanager
def open_resigning_proxy(folder: Path) -> Iterator[ResigningProxy]:
    """Start one on loopback. It answers for every host from `pages` and opens no connection itself."""
    ca = trustme.CA()
    ca_path = folder / "proxy-ca.pem"
    ca.cert_pem.write_to_path(str(ca_path))

    class Handler(BaseHTTPRequestHandler):
        host = ""

        def do_CONNECT(self) -> None:
            self.host = self.path.partition(":")[0]
            self.send_response(200)
            self.end_headers()
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            ca.issue_cert(self.host).configure_cert(context)
            try:
                self.connection = context.wrap_socket(self.connection, server_side=True)
            except (ssl.SSLError, ConnectionError):  # the client does not trust us
                self.close_connection = True
                return
            self.rfile = self.connection.makefile("rb")
            self.wfile = self.connection.makefile("wb", buffering=0)
            self.handle_one_request()
            self.connection.close()
            self.close_connection = True

        def do_GET(self) -> None:
            page = proxy.pages.get(self.host + self.path)
            proxy.asked.append(self.host + self.path)
            self.send_response(404 if page is None else 200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(page or b"")))
            self.end_headers()
            self.wfile.write(page or b"")

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    proxy = ResigningProxy(url=f"http://127.0.0.1:{server.server_port}", ca_path=ca_path, pages={})
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
