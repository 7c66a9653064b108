"""Sends a plan: each batch at its time, a bounded number at once, with a progress line."""

import asyncio
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass

from producers.client import IngestClient, IngestEndpoint
from producers.plan import Batch, Planned, batched
from producers.progress import shown_progress
from producers.tally import SendTally


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How many requests run at once, and how many events one may hold."""

    concurrency: int
    batch_size: int


async def send(plan: Iterable[Planned], endpoint: IngestEndpoint, pace: Pace, tally: SendTally) -> bool:
    """Send every event of `plan` and fill `tally`; return False when a signal cut the run short.

    When ingest-api stays unavailable, or on the first SIGINT or SIGTERM, no further batch is started.
    Raises an ExceptionGroup of Refused when key or address are wrong.
    """
    stop, interrupted = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def interrupt() -> None:
        interrupted.set()
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)
    tally.began_s = time.monotonic()
    try:
        async with shown_progress(tally), IngestClient(endpoint, tally, stop) as client:
            await _run(batched(plan, pace.batch_size), client, pace.concurrency, stop)
    finally:
        tally.ended_s = time.monotonic()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
    return not interrupted.is_set()


async def _run(batches: Iterable[Batch], client: IngestClient, concurrency: int, stop: asyncio.Event) -> None:
    gate = asyncio.Semaphore(concurrency)

    async def deliver(batch: Batch) -> None:
        try:
            if not await client.deliver(batch.bodies):
                stop.set()
        finally:
            gate.release()

    began_s = time.monotonic()
    async with asyncio.TaskGroup() as deliveries:
        for batch in batches:
            await _until(began_s + batch.due_s, stop)
            await gate.acquire()
            if stop.is_set():
                break
            delivery = deliveries.create_task(deliver(batch))
            if batch.is_history:
                # History is sent in order, so that no rule sees a false gap.
                await delivery


async def _until(instant_s: float, stop: asyncio.Event) -> None:
    """Wait for a monotonic instant; `stop` ends the wait."""
    delay_s = instant_s - time.monotonic()
    if delay_s > 0:
        try:
            await asyncio.wait_for(stop.wait(), delay_s)
        except TimeoutError:
            return
