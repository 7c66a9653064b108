"""Measures gaps in service: one event each 50 ms, as a client sends it that never repeats a request."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from tests.system.faults.senders import REQUEST_TIMEOUT_S, Sender
from tests.system.faults.traffic import Sent, Traffic

EVERY_S: Final = 0.05
AT_ONCE: Final = int(REQUEST_TIMEOUT_S / EVERY_S)  # requests that hang must not silence the next ones


@dataclass(slots=True)
class Prober:
    """The requests of one probe. `sent` belongs to the trial, whose verdict includes these events."""

    sender: Sender
    traffic: Traffic
    sent: Sent
    requests: int = 0
    failures: list[str] = field(default_factory=list)
    """Why requests failed."""
    _accepted_at: list[float] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def failed(self) -> int:
        """How many requests failed."""
        return len(self.failures)

    def longest_gap_s(self, since: float) -> float:
        """Return the longest time without an accepted event, from a moment of the monotonic clock to now."""
        with self._lock:
            accepted = sorted(at for at in self._accepted_at if at > since)
        moments = [since, *accepted, time.monotonic()]
        return max(later - earlier for earlier, later in pairwise(moments))

    def accepted_since(self, moment: float) -> int:
        """Return how many events have been accepted since a moment of the monotonic clock."""
        with self._lock:
            return sum(at > moment for at in self._accepted_at)

    def send_one(self) -> None:
        """Send one new event once."""
        (event,) = self.traffic.burst(1, ["GAP"])
        self.sent.note([event])
        answer = self.sender.send([event])
        self.sent.acknowledge(answer.acknowledged)
        with self._lock:
            self.requests += 1
            if answer.acknowledged:
                self._accepted_at.append(time.monotonic())
            else:
                self.failures.append(answer.refused or answer.failure)


@contextmanager
def probing(sender: Sender, traffic: Traffic, sent: Sent) -> Iterator[Prober]:
    """Send while the block runs; at its end every request has its outcome."""
    prober, stopping = Prober(sender, traffic, sent), threading.Event()

    def run() -> None:
        due = time.monotonic()
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="probe") as pool:
            while not stopping.wait(max(0.0, due - time.monotonic())):
                due += EVERY_S
                pool.submit(prober.send_one)

    thread = threading.Thread(target=run, name="prober", daemon=True)
    thread.start()
    try:
        yield prober
    finally:
        stopping.set()
        thread.join()
