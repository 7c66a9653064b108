"""The receiving end of notifications as a tool: HTTP and SMTP on loopback, for trying things out."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Final, Literal

from signals.local.errors import LocalStackError
from signals.local.processes.ports import free_port
from signals.ray_node.variables import HOST

MAX_BODY_BYTES: Final = 1_048_576  # guess: a hundred times the largest message
MISSING: Final = "the inbox's mail side needs aiosmtpd: install the extra `local`"


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxMessage:
    """A message that came in; all text is as hostile as what it tells of."""

    way: Literal["webhook", "mail"]
    key: str
    title: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbox:
    """Where the inbox listens."""

    url: str
    smtp_port: int


Receive = Callable[[InboxMessage], None]


@contextmanager
def open_inbox(receive: Receive, *, http_port: int = 0, smtp_port: int = 0) -> Iterator[Inbox]:
    """Listen inside the block, and call `receive` with each message, from other threads.

    A port of 0 is any free one.

    Raises:
        LocalStackError: when a port is taken, or the mail side is not installed.
    """
    with ExitStack() as stack:
        try:
            server = stack.enter_context(_HttpSide((HOST, http_port), receive))
            Thread(target=server.serve_forever, daemon=True, name="inbox").start()
            stack.callback(server.shutdown)
            mail_port = smtp_port or free_port()
            stack.enter_context(_mail_side(receive, mail_port))
        except OSError as error:
            raise LocalStackError(f"the inbox cannot listen: {error}; choose other ports") from error
        yield Inbox(url=f"http://{HOST}:{server.server_address[1]}/", smtp_port=mail_port)


class _HttpSide(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], receive: Receive) -> None:
        super().__init__(address, _HttpRequest)
        self.receive = receive


class _HttpRequest(BaseHTTPRequestHandler):
    server: _HttpSide

    def log_message(self, *_: object) -> None:
        """Print nothing: messages are printed, not requests."""

    def do_POST(self) -> None:
        """Take one message."""
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > MAX_BODY_BYTES:
            self._answer(413)
            return
        body = self.rfile.read(int(length))
        self.server.receive(_read_json(self.headers.get("webhook-id", "-"), body))
        self._answer(200)

    def _answer(self, status: int) -> None:
        content = b'{"ok": true, "ts": "1", "channel": "inbox"}'  # what Slack would answer, too
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _read_json(key: str, body: bytes) -> InboxMessage:
    try:
        found: Any = json.loads(body)
        data = found.get("data") or found.get("payload") or found
        title = str(data.get("title") or data.get("summary") or data.get("text") or "a message")
        lines = data.get("lines") or [json.dumps(found, indent=2)]
        return InboxMessage(way="webhook", key=key, title=title, text="\n".join(map(str, lines)))
    except (ValueError, AttributeError, TypeError):
        return InboxMessage(
            way="webhook", key=key, title="a body that is no JSON object", text=body.decode(errors="replace")
        )


@contextmanager
def _mail_side(receive: Receive, port: int) -> Iterator[None]:
    try:
        from aiosmtpd.controller import Controller
    except ImportError as error:
        raise LocalStackError(MISSING) from error
    controller = Controller(_MailHandler(receive), hostname=HOST, port=port)
    controller.start()
    try:
        yield
    finally:
        controller.stop()


class _MailHandler:
    def __init__(self, receive: Receive) -> None:
        self._receive = receive

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802  # aiosmtpd's name
        """Take one mail."""
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        body = mail.get_body(("plain",))
        text = str(body.get_content()) if body else ""
        key = str(mail.get("X-Signals-Key", "-"))
        self._receive(
            InboxMessage(way="mail", key=key, title=str(mail.get("Subject", "-")), text=text.strip())
        )
        return "250 kept"
