"""Receivers of notifications that keep what they got, and fail in every way that real ones do."""

import asyncio
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Literal

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from signals.local.processes.ports import free_port

START_WITHIN_S: Final = 60.0  # of the mail server's thread, which shares this process with others

Mode = Literal["ok", "error", "busy", "hang", "drip", "reset", "redirect", "gone", "slow", "flood"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request as it came in, at a monotonic instant; `accepted` when it was answered with 200."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float
    accepted: bool

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


@dataclass(slots=True)
class HttpReceiver:
    """An HTTP server in this process; `mode` may be changed at any time."""

    port: int = 0
    mode: Mode = "ok"
    requests: list[Received] = field(default_factory=list)
    connections: int = 0
    closing: threading.Event = field(default_factory=threading.Event)
    is_over: bool = False
    slack_posts: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def accepted(self) -> list[Received]:
        """The requests that were answered with 200."""
        return [one for one in self.requests if one.accepted]

    def answer_of(self, path: str) -> dict[str, Any]:
        """Return what Slack would answer."""
        with self.lock:
            self.slack_posts += 1
            number = self.slack_posts
        return {"ok": True, "channel": "C1", "ts": f"1700000000.{number:06d}"} if "chat." in path else {}


class _Handler(BaseHTTPRequestHandler):
    receiver: HttpReceiver
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        with self.receiver.lock:
            self.receiver.connections += 1

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        body = self.rfile.read(length)
        if len(body) < length:  # its sender ended in the middle: no server takes such a request
            self.close_connection = True
            return
        if self.receiver.is_over:  # a connection that the client kept: a process that ended would have cut it
            self.close_connection = True
            return
        mode = self.receiver.mode
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.receiver.requests.append(
            Received(
                path=self.path,
                headers=headers,
                body=body,
                at=time.monotonic(),
                accepted=mode in ("ok", "slow"),
            )
        )
        getattr(self, f"_{mode}")()

    def _reply(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        with suppress(OSError):
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    def _ok(self) -> None:
        self._reply(200, {}, json.dumps(self.receiver.answer_of(self.path)).encode())

    def _slow(self) -> None:
        self.receiver.closing.wait(0.3)
        self._ok()

    def _error(self) -> None:
        self._reply(500, {})

    def _busy(self) -> None:
        self._reply(429, {"Retry-After": "2"})

    def _gone(self) -> None:
        self._reply(410, {})

    def _redirect(self) -> None:
        self._reply(302, {"Location": "http://169.254.169.254/latest/meta-data/"})

    def _hang(self) -> None:
        self.receiver.closing.wait(60)
        self.close_connection = True

    def _drip(self) -> None:
        with suppress(OSError):
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not self.receiver.closing.wait(0.1):
                self.wfile.write(b"x")
        self.close_connection = True

    def _flood(self) -> None:
        with suppress(OSError):
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
            while not self.receiver.closing.is_set():
                self.wfile.write(bytes(1 << 20))
        self.close_connection = True

    def _reset(self) -> None:
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.close()
        self.close_connection = True


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients break off on purpose."""


@contextmanager
def http_receiver(port: int = 0) -> Iterator[HttpReceiver]:
    """Run an HTTP receiver on loopback."""
    receiver = HttpReceiver()
    with _Server(("127.0.0.1", port), type("Handler", (_Handler,), {"receiver": receiver})) as server:
        receiver.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            receiver.is_over = True
            receiver.closing.set()
            server.shutdown()


@dataclass(slots=True)
class MailReceiver:
    """A mail server in this process: what it got, and the answer that it gives instead of accepting."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    answer: str | None = None
    refuses: dict[str, str] = field(default_factory=dict)

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take a recipient, unless `refuses` has an answer for it."""
        if address in self.refuses:
            return self.refuses[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Keep one mail."""
        if self.answer is not None:
            return self.answer
        content = envelope.content
        assert isinstance(content, bytes)
        parsed = message_from_bytes(content, policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        self.mails.append(parsed)
        self.recipients.append(list(envelope.rcpt_tos))
        self.encrypted.append(session.ssl is not None)
        return "250 kept"


@contextmanager
def mail_receiver(
    *, tls: ssl.SSLContext | None = None, login: tuple[str, str] | None = None
) -> Iterator[MailReceiver]:
    """Run a mail server on loopback; with `tls` it demands STARTTLS, with `login` also AUTH."""
    receiver = MailReceiver()

    def check(_server: Any, _session: Any, _envelope: Any, _mechanism: str, given: Any) -> AuthResult:
        is_right = (
            isinstance(given, LoginPassword) and (given.login.decode(), given.password.decode()) == login
        )
        return AuthResult(success=is_right, handled=is_right)

    controller = Controller(
        receiver,
        hostname="127.0.0.1",
        port=free_port(),
        ready_timeout=START_WITHIN_S,
        tls_context=tls,
        require_starttls=tls is not None,
        auth_required=login is not None,
        authenticator=check,
    )
    controller.start()
    receiver.port = controller.port
    try:
        yield receiver
    finally:
        controller.stop()
        asyncio.set_event_loop(None)
