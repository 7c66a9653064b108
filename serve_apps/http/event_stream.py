"""Server-sent events: how one is written, and answers that send them as they come.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
import json
import threading
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from concurrent.futures import Executor
from typing import Final

import structlog
from starlette.responses import StreamingResponse

from serve_apps.http.problems import NOT_STORED

BEAT: Final = b": beat\n\n"
"""A comment, which readers drop: it keeps proxies from closing a silent stream."""
BEAT_S: Final = 10.0  # seconds; the proxy of Ray Serve closes after 30 s of silence (measured)
FAILED: Final = b'event: failed\ndata: {"detail": "This is our fault; it has been logged."}\n\n'
HEADERS: Final = {**NOT_STORED, "X-Accel-Buffering": "no"}

Emit = Callable[[str, Mapping[str, object]], None]
HasLeft = Callable[[], bool]

log = structlog.get_logger(__name__)


def event_stream(work: Callable[[Emit, HasLeft], None], threads: Executor | None) -> StreamingResponse:
    """Return the answer that streams what `work` emits, until it ends; it runs whether or not it is read."""
    loop = asyncio.get_running_loop()
    events: asyncio.Queue[bytes | None] = asyncio.Queue()
    left = threading.Event()

    def put(event: bytes | None) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(events.put_nowait, event)

    def emit(name: str, data: Mapping[str, object]) -> None:
        put(encoded_event(name, data))

    def run() -> None:
        try:
            work(emit, left.is_set)
        except Exception as error:  # the answer has begun: no status can say it
            log.exception("event stream crashed", error=type(error).__name__)
            put(FAILED)
        finally:
            put(None)

    async def chunks() -> AsyncIterator[bytes]:
        try:
            while True:
                try:
                    event = await asyncio.wait_for(events.get(), BEAT_S)
                except TimeoutError:
                    yield BEAT
                    continue
                if event is None:
                    return
                yield event
        finally:
            left.set()

    loop.run_in_executor(threads, run)
    return stream_answer(chunks())


def stream_answer(events: AsyncIterable[bytes]) -> StreamingResponse:
    """Return the answer that sends each event as it comes; neither stored nor collected on its way."""
    return StreamingResponse(events, media_type="text/event-stream", headers=HEADERS)


def encoded_event(name: str, data: Mapping[str, object]) -> bytes:
    """Write an event of JSON, in ASCII for readers that guess the encoding."""
    return server_event(json.dumps(data, ensure_ascii=True, default=str), kind=name)


def server_event(data: str, *, kind: str = "", number: int | None = None) -> bytes:
    """Write one event: each line of `data` stands for itself, `number` is what a reader returns with.

    `kind` is a word of ours, never a text from outside: a line break in it would begin a field.
    """
    lines = [f"event: {kind}"] if kind else []
    if number is not None:
        lines.append(f"id: {number}")
    lines += [f"data: {line}" for line in data.splitlines() or [""]]
    return ("\n".join(lines) + "\n\n").encode()
