"""Causes without a counterpart in the same minutes: a value that replaced all others, a surge."""

import math
from dataclasses import dataclass, replace
from typing import Final

from signals.domain.findings.comparison import BEFORE_MINUTES, Comparison
from signals.domain.findings.segments import (
    MIN_FAILING,
    Prices,
    Segment,
    candidates,
    is_version,
    order,
    with_twins,
)
from signals.domain.findings.statistics import Cells

MIN_OUTSIDE: Final = 8  # requests without the value; with so many the same minutes decide
MAX_SHARE_BEFORE: Final = 0.5  # of today's share, in the hour before
SURE_FAILURES: Final = 7.0  # expected failures that did not come clear a value (p about 0.001)
MAX_SEEN: Final = 0.2  # of the expected failures; with more the value failed before as well
SURGE: Final = 1.6  # times the requests of the hour before
SURGE_SIGMAS: Final = 5.0
STEADY: Final = 0.8  # guess: of the present rate of failing; so near, the rate did not change
WORKING_SURGE: Final = 1.2  # times the working requests of the hour before
SURGE_SHARE: Final = 0.6  # of the additional requests that one label must bring


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSurge:
    """More requests than usual; rates are requests a minute, `label` brings most of what is more."""

    rate: float
    usual: float
    label: str | None


def replacement(comparison: Comparison) -> Segment | None:
    """Find the label that nearly all requests carry now and few carried in the hour before."""
    failing, working, before = comparison.failing, comparison.working, comparison.working_before
    requests = failing.total + working.total
    prices = Prices.of(comparison)
    found = []
    for label in candidates(comparison):
        now = failing.count(label) + working.count(label)
        if requests - now >= MIN_OUTSIDE or before.total < MIN_OUTSIDE:
            continue
        share_before = before.count(label) / before.total
        if share_before > MAX_SHARE_BEFORE * now / requests or served_well(label, comparison):
            continue
        cells = Cells(
            failing_in=failing.count(label),
            failing_out=failing.total - failing.count(label),
            working_in=before.count(label),
            working_out=before.total - before.count(label),
        )
        net = cells.gain - prices.value(label)
        found.append(Segment(form="value", labels=(label,), cells=cells, net=net, reference="before"))
    strong = sorted((segment for segment in found if segment.is_strong), key=order)
    return with_twins(strong[0], strong, failing) if strong else None


def served_well(label: str, comparison: Comparison) -> bool:
    """Whether requests with the label worked before the onset so often that chance is no explanation."""
    requests = comparison.failing.count(label) + comparison.working.count(label)
    if not requests:
        return False
    rate = comparison.failing.count(label) / requests
    if comparison.onset.is_ramp:
        rate /= 10  # a slow rise began with few failures
    failed = comparison.errors_before.labels.get(label, 0)
    expected = rate * (comparison.working_before.count(label) + failed)
    return expected >= SURE_FAILURES and failed <= MAX_SEEN * expected


def surge(comparison: Comparison) -> RequestSurge | None:
    """Find whether requests of the route rose with the failures, and which label brought them."""
    now, before = comparison.failing.total + comparison.working.total, comparison.working_before
    usual = before.total * comparison.minutes / BEFORE_MINUTES
    extra = now - usual
    if before.total < BEFORE_MINUTES / 2 or now < SURGE * usual or extra < SURGE_SIGMAS * math.sqrt(usual):
        return None
    brought = {}
    for label in (label for label in candidates(comparison) if not is_version(label)):
        count = comparison.failing.count(label) + comparison.working.count(label)
        expected = before.count(label) * comparison.minutes / BEFORE_MINUTES
        grew = count - expected
        if grew >= SURGE_SHARE * extra and count >= 2 * SURGE * expected and expected < usual / 2:
            brought[label] = grew
    best = max(brought, key=lambda label: (brought[label], label), default=None)
    worked = comparison.working.total / comparison.minutes
    if best is None and worked < WORKING_SURGE * before.total / BEFORE_MINUTES:
        return None  # failed requests that are tried again: an effect, not a cause
    return RequestSurge(
        rate=now / comparison.minutes,
        usual=before.total / BEFORE_MINUTES,
        label=best,
    )


def growth(segment: Segment, comparison: Comparison) -> RequestSurge | None:
    """Find whether a group fails as it did in the hour before, and only its requests became more."""
    if segment.form != "value" or segment.reference != "working":
        return None
    label, cells = segment.labels[0], segment.cells
    failed = comparison.failing_before.labels.get(label, 0)
    usual = (failed + comparison.working_before.labels.get(label, 0)) / BEFORE_MINUTES
    rate = (cells.failing_in + cells.working_in) / comparison.minutes
    if failed < MIN_FAILING or rate < SURGE * usual:
        return None
    is_steady = failed / BEFORE_MINUTES >= STEADY * cells.rate_in * usual
    return RequestSurge(rate=rate, usual=usual, label=label) if is_steady else None


def against_errors(comparison: Comparison) -> Comparison:
    """Compare with the route's errors of the hour before, where a project sends no working requests.

    Errors of other routes carry what other code writes: that says nothing about the cause.
    """
    return replace(comparison, working=comparison.route_errors_before)


def with_reference(segment: Segment) -> Segment:
    """Mark a group as found among errors alone: its rates are no rates of failing."""
    return replace(segment, reference="errors")
