"""Waits for Kafka on behalf of all requests, in the event loop's own thread and with one timer."""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Final

from signals.services.events.ingestion import EventResult, Ingestion, Submission

ASKED_AGAIN_S: Final = 0.1
POLL_S: Final = (
    0.001  # how late an acknowledgement may be noticed; measured: cheaper than a thread's wake-ups
)
IDLE_POLL_S: Final = 0.5  # guess: librdkafka reports connections' errors as well

Results = list[EventResult]


@dataclass(frozen=True, slots=True)
class _Waiting:
    until: float  # the loop's seconds
    submission: Submission
    settled: asyncio.Future[Results]


class Acknowledgements:
    """The submissions of one event loop that Kafka has not acknowledged yet, oldest first."""

    def __init__(self, ingestion: Ingestion, *, answer_within_s: float) -> None:
        self._ingestion = ingestion
        self._answer_within_s = answer_within_s
        self._waiting: deque[_Waiting] = deque()
        self._asked_again_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._is_idle = True

    async def publish(self, submission: Submission) -> Results:
        """Publish and wait for Kafka, past the time for an answer only while it acknowledges anything."""
        loop = asyncio.get_running_loop()
        settled: asyncio.Future[Results] = loop.create_future()

        def done(results: Results) -> None:
            if not settled.done():  # else no request waits, and the loop may be closed
                loop.call_soon_threadsafe(_set_unless_done, settled, results)

        self._ingestion.publish(submission, done)
        self._waiting.append(_Waiting(loop.time() + self._answer_within_s, submission, settled))
        if self._is_idle:
            self._poll_in(POLL_S, loop)
        return await settled

    def close(self) -> None:
        """Poll no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _poll_in(self, delay_s: float, loop: asyncio.AbstractEventLoop) -> None:
        self.close()
        self._is_idle = delay_s >= IDLE_POLL_S
        self._timer = loop.call_later(delay_s, self._poll, loop)

    def _poll(self, loop: asyncio.AbstractEventLoop) -> None:
        more = True
        try:
            more = self._ingestion.poll()
            self._give_up(loop.time())
        finally:  # without its timer no request would be answered again
            self._poll_in(POLL_S if more or self._waiting else IDLE_POLL_S, loop)

    def _give_up(self, now: float) -> None:
        """Settle what waits too long for a Kafka that is silent."""
        while self._waiting:
            oldest = self._waiting[0]
            if not oldest.settled.done():
                if now < max(oldest.until, self._asked_again_at):
                    return
                if not self._ingestion.is_kafka_silent():
                    self._asked_again_at = now + ASKED_AGAIN_S
                    return
                oldest.settled.set_result(self._ingestion.unacknowledged(oldest.submission))
            self._waiting.popleft()


def _set_unless_done(settled: asyncio.Future[Results], results: Results) -> None:
    if not settled.done():
        settled.set_result(results)
