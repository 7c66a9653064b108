"""Sends at a steady rate like a good client, and remembers what was acknowledged."""

import threading
import time
from collections.abc import Sequence
from typing import Final

from tests.system.faults.senders import Sender
from tests.system.faults.traffic import Sent, Traffic, TrialEvent

THREADS: Final = 4  # a request that hangs must not silence the others
PAUSE_S: Final = 0.2  # before the same ids go again
GRACE_S: Final = 60.0  # after the end, for what is not answered yet


class Recorder:
    """Keeps sending between `start` and `stop`; an event is repeated under its id until it is answered."""

    def __init__(self, sender: Sender, traffic: Traffic, *, events_per_s: float) -> None:
        self.sent = Sent()
        self._sender = sender
        self._traffic = traffic
        self._events_per_s = events_per_s
        self._stopping = threading.Event()
        self._give_up_at = float("inf")
        self._threads = [
            threading.Thread(target=self._run, name=f"recorder-{number}", daemon=True)
            for number in range(THREADS)
        ]

    def start(self) -> None:
        """Start sending."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Make no new events, and return when each has been answered or `GRACE_S` is over."""
        self._give_up_at = time.monotonic() + GRACE_S
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def deliver(self, events: Sequence[TrialEvent], *, within_s: float = GRACE_S) -> bool:
        """Send until every event is acknowledged; False when that takes too long or one is refused."""
        self.sent.note(events)
        deadline = time.monotonic() + within_s
        pending = list(events)
        while True:
            answer = self._sender.send(pending)
            self.sent.acknowledge(answer.acknowledged)
            pending = [event for event in pending if event.event_id not in answer.acknowledged]
            if not pending:
                return True
            if answer.refused:
                self.sent.refuse(answer.refused)
                return False
            if time.monotonic() > min(deadline, self._give_up_at):
                return False
            time.sleep(max(PAUSE_S, answer.retry_after_s))

    def _run(self) -> None:
        while not self._stopping.is_set():
            batch = self._traffic.batch()
            due = time.monotonic() + len(batch) * THREADS / self._events_per_s
            self.deliver(batch, within_s=float("inf"))
            self._stopping.wait(max(0.0, due - time.monotonic()))
