"""Figures of views in a browser: the paint is a median, bytes and shifts are the worst of all views."""

import pytest

from benchmarks.page_loads import PageLoad, round_of


def _load(
    lcp_ms: float, cls: float = 0.0, all_bytes: float = 30_000, script_bytes: float = 5_000
) -> PageLoad:
    return PageLoad(lcp_ms=lcp_ms, cls=cls, all_bytes=all_bytes, script_bytes=script_bytes)


def test_paint_is_a_median_and_the_rest_the_worst() -> None:
    loads = [_load(300, cls=0.02), _load(9_000, all_bytes=50_000), _load(200, script_bytes=7_000)]
    figures = round_of(loads, wall_s=3.0, cpu_s=0.3).figures()
    assert figures["lcp_ms"] == 300
    assert (figures["cls"], figures["all_kb"], figures["script_kb"]) == (0.02, 50.0, 7.0)
    assert figures["cpu_us"] == pytest.approx(100_000)


def test_single_view_has_a_95th_percentile() -> None:
    assert round_of([_load(250)], wall_s=1.0, cpu_s=0.1).figures()["lcp_p95_ms"] == 250
