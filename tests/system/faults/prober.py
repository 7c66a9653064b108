"""Measures gaps in service: one request each 50 ms, as of a client that never repeats one."""

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from signals.clients.postgres import open_pool
from signals.domain.access.scopes import Scope
from signals.services.access import provisioning
from tests.support.waiting import until
from tests.system.faults.senders import REQUEST_TIMEOUT_S, Sender
from tests.system.faults.traffic import Sent, Traffic
from tests.system.faults.trial import Trial

EVERY_S: Final = 0.05
KAFKA_SLOW: Final = "Kafka did not acknowledge"  # a starved machine's Kafka: the requests reached a replica
STEADY: Final = 100  # accepted requests: five seconds of service
STARVED_S: Final = 1.0  # a gap without any fault: requests time out on such a machine
MOST_UNSERVED: Final = 0.01  # of all requests, on a starved machine; 0.3 without a stand-in
AT_ONCE: Final = int(REQUEST_TIMEOUT_S / EVERY_S)  # requests that hang must not silence the next ones


@dataclass(slots=True)
class Prober:
    """The requests of one probe. `attempt` makes one and returns why it failed, nothing on success."""

    attempt: Callable[[], str]
    requests: int = 0
    failures: list[str] = field(default_factory=list)
    """When (UTC) and why requests failed."""
    usual_gap_s: float = 0.0
    """The longest time without an accepted request before anything was hurt."""
    _accepted_at: list[float] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def failed(self) -> int:
        """How many requests failed."""
        return len(self.failures)

    @property
    def unserved(self) -> list[str]:
        """Why requests failed that Kafka was not too slow for."""
        return [failure for failure in self.failures if KAFKA_SLOW not in failure]

    def longest_gap_s(self, since: float) -> float:
        """Return the longest time without an accepted request since a moment of the monotonic clock."""
        with self._lock:
            accepted = sorted(at for at in self._accepted_at if at > since)
        moments = [since, *accepted, time.monotonic()]
        return max(later - earlier for earlier, later in pairwise(moments))

    def accepted_since(self, moment: float) -> int:
        """Return how many requests have been accepted since a moment of the monotonic clock."""
        with self._lock:
            return sum(at > moment for at in self._accepted_at)

    def settle(self) -> None:
        """Wait for steady seconds, learn their longest gap, and forget the failures until then."""
        began = time.monotonic()
        until(lambda: self.accepted_since(began) > STEADY, within_s=120)
        self.usual_gap_s = self.longest_gap_s(began)
        with self._lock:
            self.requests = 0
            self.failures.clear()

    def assert_served(self) -> None:
        """Check that only requests failed that Kafka was too slow for; a starved machine may lose some."""
        most = MOST_UNSERVED * self.requests if self.usual_gap_s > STARVED_S else 0
        assert len(self.unserved) <= most, self.unserved

    def __str__(self) -> str:
        return f"{self.failed} of {self.requests} failed: {self.unserved[:10]}"

    def send_one(self) -> None:
        """Make one request once."""
        failure = self.attempt()
        with self._lock:
            self.requests += 1
            if failure:
                self.failures.append(f"{datetime.now(UTC):%H:%M:%S} {failure}")
            else:
                self._accepted_at.append(time.monotonic())


@contextmanager
def probing(sender: Sender, traffic: Traffic, sent: Sent) -> Iterator[Prober]:
    """Send new events while the block runs; `sent` belongs to the trial, whose verdict includes them."""

    def send() -> str:
        (event,) = traffic.burst(1, ["GAP"])
        sent.note([event])
        answer = sender.send([event])
        sent.acknowledge(answer.acknowledged)
        return "" if answer.acknowledged else answer.refused or answer.failure

    with _repeated(Prober(send)) as prober:
        yield prober


@contextmanager
def reading(url: str, api_key: str) -> Iterator[Prober]:
    """Ask core-api for this address while the block runs."""

    def read() -> str:
        request = Request(url, headers={"X-API-Key": api_key})
        try:
            with urlopen(request, timeout=REQUEST_TIMEOUT_S) as answer:
                answer.read()
        except HTTPError as error:
            with error:
                return f"{error.code}: {error.read()[:300]!r}"
        except (OSError, http.client.HTTPException) as error:
            return f"{type(error).__name__}: {error}"
        return ""

    with _repeated(Prober(read)) as prober:
        yield prober


@contextmanager
def probing_both(running: Trial, core_url: str) -> Iterator[tuple[Prober, Prober]]:
    """Send a trial's events and read the list of its incidents while the block runs."""
    sender = running.stage.project(running.project_id)
    with open_pool(running.stage.servers.postgres, size=1) as pool:
        key = provisioning.issue_key(pool, running.project_id, Scope.READ).text
    with (
        probing(sender, running.traffic, running.sent) as events,
        reading(f"{core_url}/v1/incidents", key) as reads,
    ):
        yield events, reads


@contextmanager
def _repeated(prober: Prober) -> Iterator[Prober]:
    """Make a request each `EVERY_S` while the block runs; at its end every one has its outcome.

    Those before the first steady seconds do not count.
    """
    stopping = threading.Event()

    def run() -> None:
        due = time.monotonic()
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="probe") as pool:
            while not stopping.wait(max(0.0, due - time.monotonic())):
                due += EVERY_S
                pool.submit(prober.send_one)

    thread = threading.Thread(target=run, name="prober", daemon=True)
    thread.start()
    try:
        prober.settle()
        yield prober
    finally:
        stopping.set()
        thread.join()
