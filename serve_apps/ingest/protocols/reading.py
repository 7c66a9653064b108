"""Reads large bodies in one thread, so that other requests need not wait for the event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from serve_apps.http.problems import unavailable

LARGE_BYTES: Final = 256 * 1024  # guess: of a body; reading it takes some 10 ms
MAX_WAITING_BYTES: Final = 64 * 1024 * 1024  # of unpacked bodies: eight of the largest


Read = TypeVar("Read")


class BodyReading:
    """One thread: several large bodies at once would hold several times the memory."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="reading")
        self._waiting_bytes = 0

    async def call(self, body: bytes, read: Callable[[], Read], large_bytes: int = LARGE_BYTES) -> Read:
        """Call the reader of a body: here, or in its turn in the thread when the body is large.

        Raises:
            Problem: 503 when `MAX_WAITING_BYTES` wait already.
        """
        if len(body) < large_bytes:
            return read()
        if self._waiting_bytes + len(body) > MAX_WAITING_BYTES:
            raise unavailable("Too many large requests wait to be read; try again.", retry_after_s=1)
        self._waiting_bytes += len(body)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, read)
        finally:
            self._waiting_bytes -= len(body)

    def close(self) -> None:
        """End the thread after the body that it reads."""
        self._thread.shutdown(wait=False)
