"""One project floods ingest-api; the incidents of another project must still open in time.

Timed from the 202 that answers a spike of errors to its open incident in PostgreSQL, on a product of its own:
a proxy in this process would measure itself.
"""

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import median
from typing import Final
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from signals.clients.kafka import ENGINE_GROUP
from signals.clients.postgres import open_pool
from signals.domain.access.scopes import Scope
from signals.local.bring_up import DEMO_ORG
from signals.services.access import provisioning
from tests.support.product import Product, open_product
from tests.support.waiting import pause, until
from tests.system.faults.senders import HttpSender
from tests.system.faults.server_contents import unsettled
from tests.system.faults.traffic import ENVIRONMENT, ROUTE, Traffic

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

SPIKES: Final = 12
SPIKE_EVERY_S: Final = 2.5  # so the flood lasts half a minute
SPIKE_EVENTS: Final = 40
FOUND_WITHIN_S: Final = 120.0
FLOODERS: Final = 4
FLOOD_BATCH: Final = 500
FLOOD_CODES: Final = 50  # over all partitions
FLOOD_FIRST_S: Final = 5.0
REFUSED_PAUSE_S: Final = 0.02  # it does not care for Retry-After
LIMIT_PER_S: Final = 1_000
OPEN_WITHIN_S: Final = 15.0  # median; ten times what it takes on a quiet machine


@dataclass(slots=True)
class Flood:
    """The result of a flood: the answers to its batches by status, over `seconds`."""

    answers: Counter[int] = field(default_factory=Counter)
    seconds: float = 0.0
    lag_at_end: int = 0

    @property
    def events_per_s(self) -> float:
        """Accepted events per second."""
        return self.answers[202] * FLOOD_BATCH / self.seconds

    def __str__(self) -> str:
        answers = ", ".join(f"{status} x {count}" for status, count in sorted(self.answers.items()))
        return f"{self.events_per_s:,.0f} events/s ({answers}); {self.lag_at_end} not counted at its end"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """The product as `signals up` starts it: one consumer of each kind, nothing in between."""
    with open_product(tmp_path_factory.mktemp("noisy")) as product:
        yield product


def body_of_a_batch() -> bytes:
    """Errors without ids: each time that it is sent they are new events."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return json.dumps(
        [
            {
                "event_type": "error",
                "occurred_at": now,
                "environment": ENVIRONMENT,
                "severity": "error",
                "message": "noise",
                "attributes": {"error_code": f"NOISE_{n % FLOOD_CODES}", "route": ROUTE},
            }
            for n in range(FLOOD_BATCH)
        ]
    ).encode()


def flood_until(stop: threading.Event, url: str, api_key: str) -> Counter[int]:
    """Post batch after batch over one connection; a refusal only makes it try again."""
    parts = urlsplit(url)
    headers = {"X-API-Key": api_key, "Content-Type": "application/json"}
    body, answers = body_of_a_batch(), Counter[int]()
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    try:
        while not stop.is_set():
            connection.request("POST", "/v1/events/batch", body, headers)
            answer = connection.getresponse()
            answer.read()
            answers[answer.status] += 1
            if answer.status in (429, 503):
                stop.wait(REFUSED_PAUSE_S)
    finally:
        connection.close()
    return answers


@contextmanager
def flooding(stage: Product, *, events_per_s: int = 0) -> Iterator[Flood]:
    """Let a new project flood while the block runs; 0 is no limit. Its figures are there afterwards."""
    flood, stop, started = Flood(), threading.Event(), time.monotonic()
    api_key = limited_key(stage, f"noisy-{uuid4().hex[:8]}", events_per_s)
    url = stage.environment["INGEST_API_URL"]
    with ThreadPoolExecutor(FLOODERS) as pool:
        running = [pool.submit(flood_until, stop, url, api_key) for _ in range(FLOODERS)]
        try:
            pause(FLOOD_FIRST_S)
            yield flood
            flood.lag_at_end = unsettled(stage.servers, ENGINE_GROUP)
        finally:
            stop.set()
    flood.seconds = time.monotonic() - started
    for future in running:
        flood.answers += future.result()


def limited_key(stage: Product, project_id: str, events_per_s: int) -> str:
    with open_pool(stage.servers.postgres, size=1) as pool:
        provisioning.create_project(pool, project_id, org_id=DEMO_ORG, name=project_id)
        key = provisioning.issue_key(pool, project_id, Scope.INGEST)
        provisioning.limit_key(pool, key.key_id, events_per_second=events_per_s, events_per_day=0)
    return key.text


@dataclass(frozen=True, slots=True)
class Spike:
    """Latency of one spike: to its 202, and from there to its incident."""

    answered_s: float
    found_s: float


def send_spikes(stage: Product) -> list[Spike]:
    """Send spikes of new fingerprints at a steady pace, however long earlier ones take."""
    project_id = f"quiet-{uuid4().hex[:8]}"
    sender, traffic = stage.new_project(project_id), Traffic(project_id)
    with ThreadPoolExecutor(SPIKES) as pool:
        running = []
        for number in range(SPIKES):
            running.append(pool.submit(time_spike, stage, sender, traffic, project_id, f"SPIKE_{number}"))
            pause(SPIKE_EVERY_S)
        return [future.result() for future in running]


def time_spike(stage: Product, sender: HttpSender, traffic: Traffic, project_id: str, code: str) -> Spike:
    """Send one spike and wait for its incident."""
    events = traffic.burst(SPIKE_EVENTS, [code])
    ids = {event.event_id for event in events}
    sent_at = time.monotonic()
    until(lambda: sender.send(events).acknowledged >= ids, within_s=FOUND_WITHIN_S)
    answered_at = time.monotonic()
    with stage.database() as connection:
        until(
            lambda: connection.execute(
                "SELECT 1 FROM incidents"
                " WHERE project_id = %s AND environment = %s AND fingerprint = %s AND status = 'open'",
                (project_id, ENVIRONMENT, f"{code}|{ROUTE}|{ENVIRONMENT}"),
            ).fetchone(),
            within_s=FOUND_WITHIN_S,
            every_s=0.02,
        )
    return Spike(answered_at - sent_at, time.monotonic() - answered_at)


def spike_figures(times: Iterable[float]) -> str:
    """Return the figures of a run."""
    ordered = sorted(times)
    return f"p50 {median(ordered):.2f} s, max {ordered[-1]:.2f} s"


def test_incidents_open_in_time_while_another_project_floods(
    stage: Product, capsys: pytest.CaptureFixture[str]
) -> None:
    send_spikes(stage)  # the first ones meet cold processes
    runs = {"idle": send_spikes(stage)}
    with flooding(stage) as flood:
        runs["beside a flood"] = send_spikes(stage)
    until(lambda: unsettled(stage.servers, ENGINE_GROUP) == 0, within_s=FOUND_WITHIN_S, every_s=0.5)
    with flooding(stage, events_per_s=LIMIT_PER_S) as held:
        runs["beside a limited flood"] = send_spikes(stage)
    with capsys.disabled():
        print(f"\nflood: {flood}\nlimited to {LIMIT_PER_S} events/s: {held}")
        for title, spikes in runs.items():
            print(f"{title}: 202 {spike_figures(s.answered_s for s in spikes)}")
            print(f"{title}: then incident {spike_figures(s.found_s for s in spikes)}")
    assert flood.answers[202] > held.answers[202] > 0
    assert held.answers[429]
    for title in ("idle", "beside a limited flood"):
        assert median(s.found_s for s in runs[title]) < OPEN_WITHIN_S, title
