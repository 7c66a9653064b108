"""Writes what a replica keeps in memory, now and then, for as long as its application lives."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import structlog

from signals.errors import DependencyUnavailable

log = structlog.get_logger(__name__)


@asynccontextmanager
async def flushed(flush: Callable[[], int], *, every_s: float, what: str) -> AsyncIterator[None]:
    """Call `flush` every so often inside the block, and once at its end."""
    flusher = asyncio.create_task(_repeat(flush, every_s, what))
    try:
        yield
    finally:
        flusher.cancel()
        with suppress(asyncio.CancelledError):
            await flusher
        await _flush(flush, what)


async def _repeat(flush: Callable[[], int], every_s: float, what: str) -> None:
    while True:
        await asyncio.sleep(every_s)
        await _flush(flush, what)


async def _flush(flush: Callable[[], int], what: str) -> None:
    try:
        await asyncio.to_thread(flush)
    except DependencyUnavailable as error:
        log.warning("not written yet", what=what, dependency=error.dependency)
