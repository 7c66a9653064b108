"""A real HTTP server for `/v1/chat/completions` and the list of models, with scripted replies.

By default the server answers well: JSON built from the exhibits of the prompt.
"""

import json
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Final

DRIP_S: Final = 0.1
STREAMED_CHARS: Final = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A scripted reply to one call. `changes` overrides keys of the good answer, `content` all of it.

    `body` stands for the whole response body, with any status. `hangs` never answers, `drips` sends
    headers and then endless blanks, `drips_headers` never ends them, `floods` sends without end as fast as
    possible: all end with the server. `cuts` closes the connection in the middle of the body. `calls` are
    tools with their arguments; with `streams` the answer comes as server-sent events of some characters.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    changes: Mapping[str, object] = field(default_factory=dict)
    content: str | None = None
    latency_s: float = 0.0
    hangs: bool = False
    drips: bool = False
    drips_headers: bool = False
    floods: bool = False
    cuts: bool = False
    body: bytes | None = None
    calls: Sequence[tuple[str, object]] = ()
    streams: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call as it arrived."""

    authorization: str
    model: str
    system: str
    user: str
    request: Mapping[str, object] = field(default_factory=dict)


@dataclass(slots=True)
class ModelServer:
    """The running server: `base_url` for `GRADIENT_BASE_URL`, `calls` so far, `reply` to the next ones.

    `sent` counts the bytes of endless answers. With `models`, any other model is answered with 404. One that
    does not take schemas answers 400 to a `response_format`.
    """

    base_url: str
    calls: list[Call] = field(default_factory=list)
    reply: Reply = field(default_factory=Reply)
    script: deque[Reply] = field(default_factory=deque)
    sent: int = 0
    takes_schemas: bool = True
    models: list[str] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    def next_reply(self, model: str) -> Reply:
        """Take the next scripted reply, else the standing one; 404 for a model that is not served."""
        if self.models and model not in self.models:
            return Reply(status=404)
        return self.script.popleft() if self.script else self.reply


def variables_of(server: ModelServer) -> Mapping[str, str]:
    """Return the environment that names the server as the configured model."""
    return {
        "GRADIENT_BASE_URL": server.base_url,
        "GRADIENT_API_KEY": "sk-test",
        "GRADIENT_MODEL": "test-model",
        "SIGNALS_AI_TIMEOUT_S": "30",
        "SIGNALS_AI_REQUESTS_PER_MINUTE": "6000",
    }


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    offering: ClassVar[ModelServer]

    def do_GET(self) -> None:
        body = model_list(self.offering.models)
        self.send_response({"/v1/models": self.offering.reply.status}.get(self.path, 404))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        system, user = (message["content"] for message in request["messages"][:2])
        self.offering.calls.append(
            Call(
                authorization=self.headers.get("authorization", ""),
                model=request["model"],
                system=system,
                user=user,
                request=request,
            )
        )
        refuses = not self.offering.takes_schemas and "response_format" in request
        reply = Reply(status=400) if refuses else self.offering.next_reply(request["model"])
        if reply.hangs:
            self.offering.closing.wait()
            self.close_connection = True
        elif reply.drips or reply.drips_headers or reply.floods:
            self._go_on(reply)
        else:
            self.offering.closing.wait(reply.latency_s)
            self._answer(reply, user)

    def _answer(self, reply: Reply, user: str) -> None:
        text = reply.content if reply.content is not None else good_answer(user, reply.changes)
        body = (
            completion(text, reply.calls)
            if reply.status == 200
            else b'{"error": {"message": "as you wished"}}'
        )
        kind = "application/json"
        if reply.streams and reply.status == 200:
            body, kind = streamed(text, reply.calls), "text/event-stream"
        body = body if reply.body is None else reply.body
        self.send_response_only(reply.status)  # a scripted Date must stay the only one
        for name, value in {"Content-Type": kind, **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if reply.cuts else body)
        self.close_connection = reply.cuts

    def _go_on(self, reply: Reply) -> None:
        self.close_connection = True
        self.send_response(reply.status)
        self.send_header("Content-Type", "application/json")
        if reply.drips_headers:
            self.flush_headers()
        else:
            self.end_headers()
        pause_s, piece = (0, b" " * 65_536) if reply.floods else (DRIP_S, b"x")
        while not self.offering.closing.wait(pause_s):
            self.wfile.write(piece)
            self.offering.sent += len(piece)

    def handle(self) -> None:
        try:
            super().handle()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the caller gave up or was killed, as tests intend

    def log_message(self, *_: object) -> None:
        """Keep the test's output quiet; `calls` has it all."""


@contextmanager
def open_model_server(port: int = 0) -> Iterator[ModelServer]:
    """Serve on loopback, on a free port unless one is given, until the block ends."""

    class Handler(_Answers):
        """The handler of this server only."""

    http = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    http.daemon_threads = True
    server = ModelServer(base_url=f"http://127.0.0.1:{http.server_address[1]}/v1")
    Handler.offering = server
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        http.shutdown()
        http.server_close()
        thread.join()


def good_answer(user: str, changes: Mapping[str, object]) -> str:
    """Answer as a careful model would: every claim quotes an exhibit that it cites."""
    shown = [json.loads(line) for line in user.splitlines() if line.startswith('{"ref"')]
    answer = {
        "title": "Checkout fails: its upstream times out",
        "impact": "Buyers cannot pay.",
        "likely_causes": ["The upstream of the checkout is too slow."],
        "evidence": [f"[{exhibit['ref']}] {exhibit['says']}" for exhibit in shown[:4] + shown[-1:]],
        "next_steps": ["Look at the upstream."],
        "confidence": 0.9,
    }
    return json.dumps({**answer, **changes})


def model_list(names: Sequence[str]) -> bytes:
    """Return the protocol's list of models."""
    rows = [{"id": name, "object": "model", "created": 0, "owned_by": "us"} for name in names]
    return json.dumps({"object": "list", "data": rows}).encode()


USAGE: Final = {"prompt_tokens": 1200, "completion_tokens": 80, "total_tokens": 1280}


def completion(text: str, calls: Sequence[tuple[str, object]] = ()) -> bytes:
    """Wrap a text, or calls of tools, as the protocol's response body."""
    message: dict[str, object] = {"role": "assistant", "content": None if calls else text}
    if calls:
        message["tool_calls"] = [_function(n, *call) for n, call in enumerate(calls)]
    return json.dumps(
        {
            "id": "chatcmpl-test",
            "object": "chat.completion",
            "created": 0,
            "model": "test-model",
            "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}],
            "usage": USAGE,
        }
    ).encode()


def streamed(text: str, calls: Sequence[tuple[str, object]] = ()) -> bytes:
    """Wrap a text, or calls of tools, as server-sent events: some characters each, usage last."""
    deltas: list[dict[str, object]] = []
    if not calls:
        deltas = [
            {"content": text[start : start + STREAMED_CHARS]} for start in range(0, len(text), STREAMED_CHARS)
        ]
    for number, call in enumerate(calls):
        whole = _function(number, *call)
        arguments = str(whole["function"]["arguments"])
        head = whole | {"function": whole["function"] | {"arguments": ""}}
        deltas.append({"tool_calls": [head | {"index": number}]})
        for start in range(0, len(arguments), STREAMED_CHARS):
            piece = {"arguments": arguments[start : start + STREAMED_CHARS]}
            deltas.append({"tool_calls": [{"index": number, "function": piece}]})
    chunks: list[dict[str, object]] = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    chunks.append({"choices": [], "usage": USAGE})
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks).encode() + b"data: [DONE]\n\n"


def _function(number: int, name: str, arguments: object) -> dict[str, Any]:
    said = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return {"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": said}}
