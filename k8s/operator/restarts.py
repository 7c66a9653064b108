"""Repeats a run that ended with an error, without end; in the pauses kubelet and signals are answered.

Decides nothing about errors: one that a later attempt cannot avoid must end the process elsewhere.
"""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeVar

import structlog
from aiohttp import web

PAUSES_S: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)  # guess; the last one repeats
STEADY_S: Final = 60.0  # a run of this length was a good start

T = TypeVar("T")

log = structlog.get_logger(__name__)


def pause_after(failures: int) -> float:
    """Return the seconds to wait after so many failures in a row, at least one."""
    return PAUSES_S[min(failures, len(PAUSES_S)) - 1]


async def repeat(
    run: Callable[[], Awaitable[T]],
    *,
    pause: Callable[[float], Awaitable[bool]],
    clock: Callable[[], float] = time.monotonic,
) -> T | None:
    """Run until it returns, and return its result; None when a pause was ended by a signal.

    `pause` takes seconds and returns whether a signal came.
    """
    failures = 0
    while True:
        began_s = clock()
        try:
            return await run()
        except Exception as error:  # noqa: BLE001  # kopf raises what its clients raise
            failures = 1 if clock() - began_s > STEADY_S else failures + 1
            pause_s = pause_after(failures)
            log.warning("watching ended", error=f"{type(error).__name__}: {error}", again_in_s=pause_s)
        if await pause(pause_s):
            return None


async def alive_pause(pause_s: float, *, address: str, port: int) -> bool:
    """Pause as a live process: `/healthz` answers, and a signal ends the pause; return whether one came."""
    loop, signalled = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, signalled.set)  # kopf's still serve the run that ended
    async with _healthz(address, port):
        await asyncio.wait({waiting := asyncio.create_task(signalled.wait())}, timeout=pause_s)
        waiting.cancel()
    return signalled.is_set()


@asynccontextmanager
async def _healthz(address: str, port: int) -> AsyncIterator[None]:
    """Answer kubelet's probe in place of kopf, which does so while it runs."""

    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"loop": "waiting for the API server"})

    app = web.Application()
    app.router.add_get("/healthz", answer)
    runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, address, port).start()
        yield
    finally:
        await runner.cleanup()
