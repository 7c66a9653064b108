"""The whole product on one machine at the highest rate that it sustains: rate, lag, cost, memory, latency.

`python -m benchmarks scale` raises the rate until a consumer falls behind, waits until all is counted and
indexed, and holds `HELD` of the last good rate; when a consumer is too late, it holds `HELD` of that, from
the beginning. docs/operations/scaling.md compares it with the model.
"""

import http.client
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from statistics import median
from typing import Final
from urllib.parse import urlsplit

import orjson
import psutil

from benchmarks.rows.footprint import DEFAULTS
from benchmarks.rows.whole import AHEAD
from shared_types import Fingerprint
from shared_types.vocabulary import Environment, EventType
from signals.clients.kafka import ENGINE_GROUP, INDEXER_GROUP
from signals.clients.postgres import Connection, open_pool, transaction
from signals.domain.access.scopes import Scope
from signals.domain.detection.buckets import Series, minute_of
from signals.domain.detection.counts import MINUTES_READ
from signals.local.processes.footprint import NOTHING, Footprint, footprint_of
from signals.services.access.provisioning import create_org, create_project, issue_key
from signals.store.detection import buckets
from tests.support.product import Product, open_product

PROJECTS: Final = 50
FAILURES: Final = 200  # a project; 10,000 fingerprints in all, equally frequent: the worst case for fan-in
BATCH: Final = 500  # events a request
SENDERS: Final = 4  # connections
CALM_PER_MINUTE: Final = 100  # errors of a fingerprint in the past hour: more than any rate here brings
FIRST_PER_S: Final = 2_000
WARM_S: Final = 60.0  # Java compiles what it runs often
STEP: Final = 1.15
STEP_S: Final = 20.0
BEHIND_S: Final = 4.0  # of lag end the climb
KEPT_UP: Final = 0.85  # of the wanted rate: batches of four senders are coarse steps
HELD: Final = 0.72  # at 0.85 the indexer was 34 s late after 8 minutes: OpenSearch merges later than we climb
LEAST_PER_S: Final = 500
LAG_LIMIT_S: Final = 10.0
SURGE: Final = 30  # the fewest errors that open an incident
VISIBLE_WITHIN_S: Final = 30.0
POLL_S: Final = 0.05


@dataclass(slots=True, kw_only=True)
class Traffic:
    """Events of 10,000 fingerprints, sent in batches at `rate` a second over `SENDERS`."""

    url: str
    keys: Sequence[str]
    rate: float = FIRST_PER_S
    accepted: int = 0
    refused: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def flowing(self) -> Iterator[None]:
        """Send until the block ends; a sender's error is raised then."""
        with ThreadPoolExecutor(SENDERS) as senders:
            running = [senders.submit(self._send, number) for number in range(SENDERS)]
            try:
                yield
            finally:
                self.stopped.set()
            for one in running:
                one.result()

    def post(self, connection: http.client.HTTPConnection, key: str, body: bytes, events: int) -> None:
        """Post one batch, and count it as accepted or refused."""
        connection.request(
            "POST", "/v1/events/batch", body, {"X-API-Key": key, "Content-Type": "application/json"}
        )
        answer = connection.getresponse()
        answer.read()
        with self._lock:
            if answer.status == http.HTTPStatus.ACCEPTED:
                self.accepted += events
            else:
                self.refused += events

    def connect(self) -> http.client.HTTPConnection:
        """Open a connection to ingest-api."""
        address = urlsplit(self.url)
        return http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)

    def _send(self, number: int) -> None:
        chance, connection = Random(number), self.connect()
        due = time.monotonic()
        while not self.stopped.is_set():
            due += BATCH * SENDERS / self.rate
            wait_s = due - time.monotonic()
            if wait_s < -1:  # the product is slower than the rate: what is late is not made up for
                due -= wait_s
            elif self.stopped.wait(max(0.0, wait_s)):
                break
            body = b"[" + b",".join(_error(chance, chance.randrange(FAILURES)) for _ in range(BATCH)) + b"]"
            self.post(connection, self.keys[chance.randrange(PROJECTS)], body, BATCH)
        connection.close()


def _error(chance: Random, failure: int, code: str = "UPSTREAM_TIMEOUT") -> bytes:
    """Return a new error of one of a project's fingerprints, as its client sends it."""
    return orjson.dumps(
        {
            "event_id": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
            "event_type": "error",
            "occurred_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "environment": "prod",
            "severity": "error",
            "message": f"upstream {failure % 8} did not answer within 3000 ms",
            "attributes": {
                "route": f"/api/v1/resource-{failure % 8}",
                "method": "POST",
                "status_code": 503,
                "error_code": f"{code}_{failure}",
                "release": "2026.2.14",
                "region": "fra1",
            },
            "payload": {"trace_id": "5f2b9a3c1d7e4f60", "retry": 1},
        }
    )


@dataclass(slots=True, kw_only=True)
class ScaleRun:
    """The running product under traffic, watched from outside; one line a minute goes to `print`."""

    product: Product
    database: Connection
    traffic: Traffic
    read_key: str
    published_s: list[float] = field(default_factory=list)

    def climb(self) -> float:
        """Raise the rate until a consumer is `BEHIND_S` late; return the last that all kept up with."""
        good = self.traffic.rate
        time.sleep(WARM_S)
        self.catch_up(good)
        while True:
            accepted, began = self.traffic.accepted, time.monotonic()
            time.sleep(STEP_S)
            got = (self.traffic.accepted - accepted) / (time.monotonic() - began)
            lags = self._lags_s()
            print(
                f"climb: wanted {self.traffic.rate:,.0f}/s, accepted {got:,.0f}/s, lag {_shown(lags)}",
                flush=True,
            )
            if max(lags) > BEHIND_S or got < KEPT_UP * self.traffic.rate:
                return good
            good, self.traffic.rate = self.traffic.rate, self.traffic.rate * STEP

    def catch_up(self, rate: float) -> None:
        """Send at a third of `rate` until no consumer is late, then at `rate`."""
        self.traffic.rate = rate / 3
        while max(self._lags_s()) > 1:
            time.sleep(POLL_S)
        self.traffic.rate = rate

    def hold(self, minutes: int) -> bool:
        """Keep the rate, with one surge a minute; false as soon as a consumer is too late."""
        self.published_s = []
        accepted, began, before = self.traffic.accepted, time.monotonic(), self._footprints()
        worst = 0.0
        for minute in range(1, minutes + 1):
            self.published_s.append(self._surge())
            while time.monotonic() < began + minute * 60:
                worst = max(worst, *self._lags_s())
                time.sleep(1)
            rate = (self.traffic.accepted - accepted) / (time.monotonic() - began)
            line = f"{minute:3} min: {rate:,.0f}/s, lag now {_shown(self._lags_s())}, greatest {worst:.1f} s"
            print(
                f"{line}, published after {self.published_s[-1]:.2f} s, load {psutil.getloadavg()[0]:.0f}",
                flush=True,
            )
            if worst > LAG_LIMIT_S:
                return False
        self._print_costs(self.traffic.accepted - accepted, time.monotonic() - began, before)
        return True

    def _print_costs(self, events: int, wall_s: float, before: Mapping[str, Footprint]) -> None:
        print(f"{events:,} events in {wall_s:.0f} s, {self.traffic.refused:,} refused")
        for name, used in self._used_since(before).items():
            share = f"{used.cpu_s / events * 1e6:6.1f} CPU-µs an event, {used.cpu_s / wall_s * 100:5.1f} %"
            print(f"  {name:18} {share} of a core, {used.pss_bytes / 1e6:6,.0f} MB")
        times = sorted(self.published_s)
        print(f"incident published: p50 {median(times):.2f} s, greatest {times[-1]:.2f} s of {len(times)}")

    def _lags_s(self) -> tuple[float, float]:
        """Return how late engine and indexer are, in seconds of traffic."""
        accepted = self.traffic.accepted
        row = self.database.execute(AHEAD, {"engine": ENGINE_GROUP, "indexer": INDEXER_GROUP}).fetchone()
        assert row is not None
        return max(0, accepted - row[0]) / self.traffic.rate, max(0, accepted - row[1]) / self.traffic.rate

    def _surge(self) -> float:
        """Send a new fingerprint's errors; return after how many seconds core-api lists its incident."""
        chance, code = Random(), f"SURGE_{uuid.uuid4().hex[:8]}"
        body = b"[" + b",".join(_error(chance, 0, code) for _ in range(SURGE)) + b"]"
        connection = self.traffic.connect()
        self.traffic.post(connection, self.traffic.keys[0], body, SURGE)
        connection.close()
        answered = time.monotonic()
        while time.monotonic() - answered < VISIBLE_WITHIN_S:
            if self._is_listed(code):
                return time.monotonic() - answered
            time.sleep(POLL_S)
        raise AssertionError(f"core-api does not list {code} within {VISIBLE_WITHIN_S:.0f} s")

    def _is_listed(self, code: str) -> bool:
        address = urlsplit(self.product.environment["CORE_API_URL"])
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
        connection.request("GET", "/v1/incidents?limit=5", headers={"X-API-Key": self.read_key})
        body = connection.getresponse().read()
        connection.close()
        return code.encode() in body

    def _footprints(self) -> dict[str, Footprint]:
        """Return what each kind of process has taken; `all` is the sum, `Ray` the rest of its node."""
        found: dict[str, Footprint] = defaultdict(lambda: NOTHING)
        for pid, kind in self.product.processes().items():
            found[kind] += footprint_of(pid)
        found["Ray"] = _less(footprint_of(self.product.root_pid), sum(found.values(), NOTHING))
        for name, server in self.product.stack.servers.items():
            assert server.process.pid is not None, f"{name} has died"
            found[name] = footprint_of(server.process.pid)
        return {**found, "all": sum(found.values(), NOTHING)}

    def _used_since(self, before: Mapping[str, Footprint]) -> dict[str, Footprint]:
        """Return the processor time since then, and the memory of now."""
        return {
            name: replace(now, cpu_s=now.cpu_s - before.get(name, NOTHING).cpu_s)
            for name, now in self._footprints().items()
        }


def _less(whole: Footprint, part: Footprint) -> Footprint:
    return Footprint(
        processes=whole.processes - part.processes,
        pss_bytes=whole.pss_bytes - part.pss_bytes,
        cpu_s=whole.cpu_s - part.cpu_s,
    )


def _shown(lags_s: tuple[float, float]) -> str:
    return f"{lags_s[0]:.1f} s counted, {lags_s[1]:.1f} s indexed"


def _provision(product: Product) -> tuple[list[str], str]:
    """Make the projects with a calm past; return their ingest keys, and a read key of the first."""
    names = [f"proj_{number:02}" for number in range(PROJECTS)]
    now = minute_of(datetime.now(UTC))
    with open_pool(product.servers.postgres, size=1) as pool:
        create_org(pool, "org_scale", "Scale")
        for name in names:
            create_project(pool, name, org_id="org_scale", name=name)
            series = [_series(name, failure) for failure in range(FAILURES)]
            past = {
                (one, now - back): CALM_PER_MINUTE for one in series for back in range(1, MINUTES_READ + 1)
            }
            with transaction(pool) as connection:
                buckets.increment(connection, past)
        keys = [issue_key(pool, name, Scope.INGEST).text for name in names]
        return keys, issue_key(pool, names[0], Scope.READ).text


def _series(project: str, failure: int) -> Series:
    print_ = Fingerprint(
        event_type=EventType.ERROR,
        environment=Environment.PROD,
        error_code=f"UPSTREAM_TIMEOUT_{failure}",
        route=f"/api/v1/resource-{failure % 8}",
    )
    return Series(project, "prod", print_.metric_name, print_.text, "org_scale")


def scale(folder: Path, minutes: int) -> bool:
    """Run the product in `folder`, print the figures; false when it sustained no rate, or refused events."""
    with open_product(folder, settings=DEFAULTS) as product, product.database() as database:
        keys, read_key = _provision(product)
        traffic = Traffic(url=product.environment["INGEST_API_URL"], keys=keys)
        run = ScaleRun(product=product, database=database, traffic=traffic, read_key=read_key)
        with traffic.flowing():
            rate, is_held = run.climb(), False
            while not is_held and rate > LEAST_PER_S:
                rate *= HELD
                print(f"holding {rate:,.0f}/s", flush=True)
                run.catch_up(rate)
                is_held = run.hold(minutes)
    return is_held and not traffic.refused
