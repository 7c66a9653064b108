"""The console in a real browser: the first view of a page, and how soon an open page shows an incident."""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final, LiteralString
from uuid import uuid4

import psycopg
from playwright.sync_api import Browser, Page

from benchmarks.console_site import BASE, ConsoleSite, Stored, open_site
from benchmarks.cpu import tree_cpu_s
from benchmarks.page_loads import load_once, round_of, signed_in
from benchmarks.rounds import Contender, Plan, Round, Row, Target
from benchmarks.rows.latency import percentiles, spike
from benchmarks.stored_data import PROJECT
from benchmarks.timing import ours, started
from signals.clients.kafka import RAW_TOPIC
from signals.clients.kafka.publisher import Publisher, open_publisher
from signals.clients.postgres import Connection, conninfo
from tests.support.browser import find_chromium, open_browser

LIVE_WITHIN_MS: Final = 60_000
WARM_UPS: Final = 3  # until the engine has its partitions and the page its stream
BETWEEN_S: Final = (0.3, 1.3)  # a change meets the last query of the stream at any distance
OPENED: LiteralString = """
SELECT c.at FROM pipeline.incident_changes c JOIN incidents i ON i.id = c.incident_id
WHERE i.project_id = %s AND i.fingerprint LIKE %s AND c.kind = 'opened'
"""
# The instant of the frame that paints a code for the first time.
WATCH_CODES: Final = """
window.shown = {};
addEventListener("DOMContentLoaded", () => {
  const look = () => requestAnimationFrame(() => {
    const codes = document.body.textContent.matchAll(/LIVE_[0-9a-f]{8}/g);
    for (const [code] of codes) window.shown[code] ??= Date.now();
  });
  new MutationObserver(look).observe(document.body, {childList: true, subtree: true});
});
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loads:
    """First views of one page in a browser."""

    site: ConsoleSite
    browser: Browser
    views: int

    def take(self, address: str, screen: str, *, is_signed_in: bool = True) -> Round:
        """View a page several times, each time with an empty cache."""
        token = self.site.token if is_signed_in else ""
        loads = []
        cpu_s, began = tree_cpu_s(self.site.core.pid), time.monotonic()
        for _ in range(self.views):
            with signed_in(self.browser, self.site.url, token, screen) as context:
                loads.append(load_once(context, address))
        wall_s, cpu_s = time.monotonic() - began, tree_cpu_s(self.site.core.pid) - cpu_s
        return round_of(loads, wall_s, cpu_s)


@contextmanager
def _open_loads(plan: Plan) -> Iterator[list[Contender]]:
    stored = Stored(
        incidents=plan.pick(full=10_000, quick=10_000, tiny=200),
        events=plan.pick(full=100_000, quick=20_000, tiny=2_000),
    )
    with open_site(plan, stored) as site, open_browser(find_chromium()) as browser:
        loads = Loads(site=site, browser=browser, views=plan.pick(full=7, quick=3, tiny=1))
        incident = f"{BASE}/incidents/{site.incidents[9]}"  # each tenth is open
        pages = {"overview": f"{BASE}/", "list": f"{BASE}/outages?status=all", "incident": incident}
        sign_in = partial(loads.take, "/console/sign-in", "laptop", is_signed_in=False)
        yield [
            Contender(
                name="sign-in page", role="limit", run=sign_in, note="almost empty: the browser itself"
            ),
            *(
                Contender(name=f"{name}, {screen}", role="ours", run=partial(loads.take, address, screen))
                for name, address in pages.items()
                for screen in ("laptop", "phone")
            ),
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """A page that stays open while incidents open one after the other."""

    site: ConsoleSite
    page: Page
    publisher: Publisher
    connection: Connection
    incidents: int

    def watch(self) -> Round:
        """Send spikes of new fingerprints, and take the time from each opening to its paint."""
        pace = random.Random(5)
        cpu_s, began, taken = tree_cpu_s(self.site.core.pid), time.monotonic(), list[float]()
        for _ in range(self.incidents):
            taken.append(self.show_one())
            time.sleep(pace.uniform(*BETWEEN_S))
        return percentiles(taken, time.monotonic() - began, tree_cpu_s(self.site.core.pid) - cpu_s)

    def show_one(self) -> float:
        """Open an incident by the engine; return the seconds until the page shows it."""
        code = f"LIVE_{uuid4().hex[:8]}"
        self.publisher.publish_and_wait(RAW_TOPIC, spike(code, PROJECT))
        shown = self.page.wait_for_function("(code) => window.shown[code]", arg=code, timeout=LIVE_WITHIN_MS)
        row = self.connection.execute(OPENED, [PROJECT, f"{code}|%"]).fetchone()
        assert row is not None, "a page shows an incident that is not stored"
        return float(shown.json_value()) / 1000 - float(row[0].timestamp())


@contextmanager
def _open_live(plan: Plan) -> Iterator[list[Contender]]:
    stored = Stored(
        incidents=plan.pick(full=10_000, quick=10_000, tiny=200),
        events=plan.pick(full=100_000, quick=20_000, tiny=2_000),
    )
    with (
        open_site(plan, stored) as site,
        open_browser(find_chromium()) as browser,
        signed_in(browser, site.url, site.token, "laptop") as context,
        started(ours("detect", site.environment), plan.folder / "engine.log"),
        open_publisher(site.servers.kafka()) as publisher,
        psycopg.connect(conninfo(site.database), autocommit=True) as connection,
    ):
        page = context.new_page()
        page.add_init_script(WATCH_CODES)
        page.goto(f"{BASE}/incidents?status=open")
        page.wait_for_function(
            "() => document.getElementById('live').textContent === 'live'", timeout=LIVE_WITHIN_MS
        )
        watching = Watching(
            site=site,
            page=page,
            publisher=publisher,
            connection=connection,
            incidents=plan.pick(full=40, quick=15, tiny=3),
        )
        for _ in range(WARM_UPS):
            watching.show_one()
        yield [Contender(name="open page", role="ours", run=watching.watch)]


def _first_view(name: str, screen: str) -> tuple[Target, ...]:
    ours_ = f"{name}, {screen}"
    return (
        Target(sentence=f"{ours_}: all bytes ≤ 60 kB", figure="all_kb", at_most=60.0, ours=ours_),
        Target(sentence=f"{ours_}: scripts ≤ 30 kB", figure="script_kb", at_most=30.0, ours=ours_),
        Target(sentence=f"{ours_}: LCP ≤ 1 s", figure="lcp_ms", at_most=1000.0, ours=ours_),
        Target(sentence=f"{ours_}: CLS ≤ 0.01", figure="cls", at_most=0.01, ours=ours_),
    )


ROWS: Final = (
    Row(
        name="console-load",
        title="the first view of the console's pages in Chromium, with a cold cache",
        unit="view",
        method="Through HAProxy and Serve before 10,000 incidents, in a headless Chromium on the same two "
        "cores, in a new window each time: 1,280 × 800 and 390 × 844. Bytes are those on the wire with their "
        "heads, CLS is the sum of all shifts. The paint is the median of the views, the rest the worst.",
        open=_open_loads,
        shown=("lcp_ms", "lcp_p95_ms", "cls", "all_kb", "script_kb", "cpu_us"),
        limit_s=480.0,
        targets=tuple(
            target
            for name in ("overview", "list", "incident")
            for screen in ("laptop", "phone")
            for target in _first_view(name, screen)
        ),
    ),
    Row(
        name="console-live",
        title="open incident → visible on an open page",
        unit="incident",
        method="One spike after the other through the engine, which shares the two cores with core-api and "
        "a headless Chromium. Timed from the beginning of the transaction that opens the incident to the "
        "frame of the list of incidents that shows its title. CPU is that of the Ray node.",
        open=_open_live,
        shown=("p50_ms", "p95_ms", "p99_ms", "max_ms", "cpu_us"),
        limit_s=480.0,
        targets=(
            Target(sentence="p50 ≤ 500 ms", figure="p50_ms", at_most=500.0),
            Target(sentence="p95 ≤ 1 s", figure="p95_ms", at_most=1000.0),
        ),
    ),
)
