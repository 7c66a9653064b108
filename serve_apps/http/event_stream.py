"""Answers with server-sent events that work in a thread writes, and tells it when the client has left.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Executor
from typing import Final

import structlog
from starlette.responses import StreamingResponse

from serve_apps.http.problems import NOT_STORED

KEEP_ALIVE_S: Final = 5.0  # guess: proxies cut a silent stream after half a minute and more
KEEP_ALIVE: Final = b": still at work\n\n"
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
                    event = await asyncio.wait_for(events.get(), KEEP_ALIVE_S)
                except TimeoutError:
                    yield KEEP_ALIVE
                    continue
                if event is None:
                    return
                yield event
        finally:
            left.set()

    loop.run_in_executor(threads, run)
    return StreamingResponse(chunks(), media_type="text/event-stream", headers=HEADERS)


def encoded_event(name: str, data: Mapping[str, object]) -> bytes:
    """Write one event: JSON has no line breaks, so that no data can begin another event."""
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=True, default=str)}\n\n".encode("ascii")
