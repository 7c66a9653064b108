"""Repeats a duty every few seconds: in a thread, in a task, or inside a loop that runs anyway.

A duty that fails because a server is away is repeated later. Any other error is a fault of ours: in a thread
it ends the process. In a task it is logged and the duty repeated: the requests of its process go on.
"""

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import structlog

from signals.errors import DependencyUnavailable

log = structlog.get_logger(__name__)


@contextmanager
def repeated(duty: Callable[[], object], *, every_s: float, name: str) -> Iterator[None]:
    """Call `duty` in a thread of its own, at once and then `every_s` seconds after each end of it.

    `name` names the duty in logs. A duty that crashes ends the process: Ray starts it anew, and a process
    without its duty would look healthy. The end of the block does not wait for a call under way.
    """
    done = threading.Event()

    def run() -> None:
        while not done.is_set():
            try:
                duty()
            except DependencyUnavailable as error:
                log.warning("periodic duty failed", duty=name, reason=str(error))
            except BaseException:
                log.exception("periodic duty crashed", duty=name)
                os._exit(1)
            done.wait(every_s)

    threading.Thread(target=run, name=name, daemon=True).start()
    try:
        yield
    finally:
        done.set()


@asynccontextmanager
async def repeated_in_task(duty: Callable[[], object], *, every_s: float, name: str) -> AsyncIterator[None]:
    """Call `duty` every `every_s` seconds inside the block, off the event loop, and once at the end.

    `name` names the duty in logs. Only the last call passes an error other than `DependencyUnavailable` on.
    """
    task = asyncio.create_task(_repeat(duty, every_s, name))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await _call(duty, name)


class Interval:
    """Says once every `every_s` seconds that something is due; the first time at once.

    For loops that come round more often. Used by one thread.
    """

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._next_at = 0.0

    def is_due(self) -> bool:
        """Whether the interval has passed since this was last true."""
        now = time.monotonic()
        if now < self._next_at:
            return False
        self._next_at = now + self._every_s
        return True

    def reset(self) -> None:
        """Be due at the next call."""
        self._next_at = 0.0


async def _repeat(duty: Callable[[], object], every_s: float, name: str) -> None:
    while True:
        await asyncio.sleep(every_s)
        try:
            await _call(duty, name)
        except Exception:
            log.exception("periodic duty crashed", duty=name)


async def _call(duty: Callable[[], object], name: str) -> None:
    try:
        await asyncio.to_thread(duty)
    except DependencyUnavailable as error:
        log.warning("periodic duty failed", duty=name, reason=str(error))
