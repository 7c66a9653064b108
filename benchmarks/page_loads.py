"""Loads pages in a real browser with a cold cache: bytes on the wire, largest paint, layout shifts."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Any, Final

from playwright.sync_api import Browser, BrowserContext, Page

from benchmarks.rounds import Round
from serve_apps.console.cookies import LOOPBACK_NAME

SCREENS: Final[Mapping[str, Mapping[str, Any]]] = {
    "laptop": {"viewport": {"width": 1280, "height": 800}},
    "phone": {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "device_scale_factor": 2},
}
PAINT_WITHIN_MS: Final = 60_000
SETTLES_S: Final = 0.5  # after the load: what shifts later has had its time
# The sum of all shifts: an upper bound of CLS, which is the largest group of shifts near in time.
# Source: https://web.dev/articles/cls
WATCH: Final = """
window.watched = {lcp: 0, cls: 0};
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.watched.lcp = entry.startTime;
}).observe({type: "largest-contentful-paint", buffered: true});
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.watched.cls += entry.value;
}).observe({type: "layout-shift", buffered: true});
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageLoad:
    """One view of one page; bytes are those on the wire, heads included."""

    lcp_ms: float
    cls: float
    all_bytes: float
    script_bytes: float


def round_of(loads: Sequence[PageLoad], wall_s: float, cpu_s: float) -> Round:
    """Return the round of several views: the median paint, and the worst of everything else."""
    paints = [one.lcp_ms for one in loads]
    p95 = quantiles(paints, n=100, method="inclusive")[94] if len(paints) > 1 else paints[0]
    extra = {
        "lcp_ms": median(paints),
        "lcp_p95_ms": p95,
        "cls": max(one.cls for one in loads),
        "all_kb": max(one.all_bytes for one in loads) / 1000,
        "script_kb": max(one.script_bytes for one in loads) / 1000,
    }
    return Round(events=len(loads), wall_s=wall_s, cpu_s=cpu_s, extra=extra)


@contextmanager
def signed_in(browser: Browser, url: str, token: str, screen: str) -> Iterator[BrowserContext]:
    """Open a window with an empty cache and, with a token, a person's session."""
    context = browser.new_context(base_url=url, timezone_id="Europe/Berlin", **SCREENS[screen])
    try:
        if token:
            context.add_cookies([{"name": LOOPBACK_NAME, "value": token, "url": url}])
        yield context
    finally:
        context.close()


def load_once(context: BrowserContext, address: str) -> PageLoad:
    """Open a page in a new window, and wait until it is painted and still."""
    page = context.new_page()
    page.add_init_script(WATCH)
    kinds, sizes = _sizes(context, page)
    page.goto(address, wait_until="load", timeout=PAINT_WITHIN_MS)
    page.wait_for_function("() => window.watched.lcp > 0", timeout=PAINT_WITHIN_MS)
    time.sleep(SETTLES_S)
    watched = page.evaluate("() => window.watched")
    scripts = [size for request, size in sizes.items() if kinds.get(request) == "Script"]
    return PageLoad(
        lcp_ms=float(watched["lcp"]),
        cls=float(watched["cls"]),
        all_bytes=sum(sizes.values()),
        script_bytes=sum(scripts),
    )


def _sizes(context: BrowserContext, page: Page) -> tuple[Mapping[str, str], Mapping[str, float]]:
    """Return what fills with the kind and the size of each answer of a page."""
    kinds: dict[str, str] = {}
    sizes: dict[str, float] = {}
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    session.on("Network.responseReceived", lambda one: kinds.update({one["requestId"]: one["type"]}))
    session.on(
        "Network.loadingFinished", lambda one: sizes.update({one["requestId"]: one["encodedDataLength"]})
    )
    return kinds, sizes
