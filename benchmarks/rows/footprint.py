"""Footprint: memory and processor time of everything that `make up` starts, idle and under steady traffic."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from benchmarks.rounds import Contender, Plan, Round, Row, Target
from signals.local.processes.footprint import NOTHING, Footprint, footprint_of
from tests.support.product import Product, open_product

RATE_PER_S: Final = 1_000
CALM_S: Final = 5.0  # after the previous round: consumers have caught up, OpenSearch has merged
UNDER_WAY_S: Final = 5.0  # the load generator has started and its first events are everywhere
MB: Final = 1e6
DEFAULTS: Final = {  # a test's product ticks more often and leases more briefly
    "SIGNALS_TICK_S": "15",
    "SIGNALS_AI_LEASE_S": "120",
    "SIGNALS_AI_TIMEOUT_S": "45",
    "SIGNALS_AI_REQUESTS_PER_MINUTE": "60",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """The running product, watched for some seconds a round."""

    product: Product
    seconds: int

    def idle(self) -> Round:
        """Measure without events."""
        time.sleep(CALM_S)
        return self._watch()

    def loaded(self) -> Round:
        """Measure under everyday traffic of the load generator, which is not counted."""
        duration_s = UNDER_WAY_S + self.seconds + 1
        options = (f"--rate={RATE_PER_S}", f"--duration={duration_s:.0f}s", "--seed=5")
        with ThreadPoolExecutor(1) as background:
            sending = background.submit(self.product.loadgen, "normal", *options)
            time.sleep(UNDER_WAY_S)
            watched = self._watch()
            report = sending.result()
        extra = {**watched.extra, "accepted_per_s": float(report["accepted_per_s"])}
        return Round(events=watched.events, wall_s=watched.wall_s, cpu_s=watched.cpu_s, extra=extra)

    def _watch(self) -> Round:
        before, began = self._footprint(), time.monotonic()
        time.sleep(self.seconds)
        after, wall_s = self._footprint(), time.monotonic() - began
        cpu_s = after.cpu_s - before.cpu_s
        extra = {
            "pss_mb": after.pss_bytes / MB,
            "core_percent": cpu_s / wall_s * 100,
            "processes": float(after.processes),
        }
        return Round(events=self.seconds, wall_s=wall_s, cpu_s=cpu_s, extra=extra)

    def _footprint(self) -> Footprint:
        servers = [server.process.pid for server in self.product.stack.servers.values()]
        pids = [self.product.root_pid, *(pid for pid in servers if pid is not None)]
        assert len(pids) == len(servers) + 1, "a server has died"
        return sum(map(footprint_of, pids), NOTHING)


@contextmanager
def _open(plan: Plan) -> Iterator[list[Contender]]:
    with open_product(plan.folder / "product", settings=DEFAULTS) as product:
        bench = Bench(product=product, seconds=plan.pick(full=20, quick=10, tiny=2))
        yield [
            Contender(name="idle", role="ours", run=bench.idle),
            Contender(name="1,000 events/s", role="ours", run=bench.loaded, note="by signals-loadgen"),
        ]


ROW: Final = Row(
    name="footprint",
    title="All processes of a laptop's product, idle and under 1,000 events/s",
    unit="second",
    method=(
        "Ray's node with HAProxy, both APIs and all actors, PostgreSQL, Kafka and OpenSearch, with the "
        "defaults of `make up`; a model's server and the load generator are not counted. Memory is PSS, at "
        "the end of a round: shared pages are divided by their users. Processor time is over "
        "wall-clock time: 100 % is one core. The idle rounds after the first come after load."
    ),
    open=_open,
    shown=("pss_mb", "core_percent", "processes", "accepted_per_s"),
    targets=(
        Target(sentence="≤ 1.6 GB PSS idle", figure="pss_mb", at_most=1600.0, ours="idle"),
        Target(sentence="≤ 2.5 GB loaded", figure="pss_mb", at_most=2500.0, ours="1,000 events/s"),
        Target(sentence="idle CPU ≤ 15 % of one core", figure="core_percent", at_most=15.0, ours="idle"),
    ),
)
