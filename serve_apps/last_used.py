"""Writes when keys were last used, now and then, for as long as an application lives."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import structlog

from signals.errors import DependencyUnavailable
from signals.services.authenticating import Authenticating

FLUSH_EVERY_S: Final = 30.0  # guess: how exact last_used_at is; one statement a replica

log = structlog.get_logger(__name__)


@asynccontextmanager
async def last_used_written(authenticating: Authenticating) -> AsyncIterator[None]:
    """Flush `last_used_at` every `FLUSH_EVERY_S` seconds inside the block."""
    flusher = asyncio.create_task(_flush(authenticating))
    try:
        yield
    finally:
        flusher.cancel()
        with suppress(asyncio.CancelledError):
            await flusher


async def _flush(authenticating: Authenticating) -> None:
    while True:
        await asyncio.sleep(FLUSH_EVERY_S)
        try:
            await asyncio.to_thread(authenticating.flush_last_used)
        except DependencyUnavailable as error:
            log.warning("last_used_at not written", dependency=error.dependency)
