"""Groups of more than one label: two at once, several values of one name, and a second cause."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Final

from signals.domain.findings.comparison import MAX_PAIRED, Comparison
from signals.domain.findings.labels import split
from signals.domain.findings.segments import (
    MIN_FAILING,
    Prices,
    Segment,
    candidates,
    cells_of,
    order,
    singles,
    with_twins,
)
from signals.domain.findings.shifts import against_errors
from signals.domain.findings.statistics import Cells

MAX_SET: Final = 6  # values a set may have; more are no description
MIN_STEP: Final = 4.0  # nats that each further label must explain by itself (p about 0.005)
MIN_NARROW: Final = 7.0  # nats that each of two labels must add to the other: many partners are tried
ALIKE: Final = 3.0  # nats between groups that these minutes cannot tell apart
MAX_REST: Final = 0.85  # of the failing covered: what is left needs no second cause
MIN_REST: Final = 0.3  # of the remaining failures that a second cause must explain
_ORDERED: Final = re.compile(r"v?\d+(?:[.]\d+)*(?:\.\.\d+)?")


def best_segments(comparison: Comparison, *, absences: bool = True) -> list[Segment]:
    """Return the causes among groups: none, one, or two; without `absences` no group lacks a name."""
    alone = singles(comparison, absences=absences)
    found = sorted([*alone, *_sets(comparison), *_pairs(comparison)], key=order)
    strong = [segment for segment in found if segment.is_strong]
    if not strong:
        return []
    best = with_twins(_sharpest(strong, comparison), found, comparison.failing)
    second = _second(best, found, comparison)
    return [best] if second is None else sorted([best, second], key=lambda s: -s.cells.failing_in)


def paired_labels(comparison: Comparison) -> tuple[str, ...]:
    """Return the labels whose pairs can matter: the most frequent candidates, of two names at least."""
    if comparison.is_drop:  # told by what stays away, one value at a time
        return ()
    labels = candidates(comparison if comparison.has_working else against_errors(comparison))[:MAX_PAIRED]
    return tuple(labels) if len({split(label)[0] for label in labels}) > 1 else ()


def _sharpest(strong: Sequence[Segment], comparison: Comparison) -> Segment:
    """Choose among groups that explain these minutes alike: the one that was rarest in the hour before.

    When a new customer brings all failures, its region and plan fail as well; only before do they differ.
    """
    best, before = strong[0], comparison.working_before
    if best.form != "value" or before.total < comparison.working.total:
        return best

    def against_before(segment: Segment) -> float:
        served = before.count(segment.labels[0])
        return replace(segment.cells, working_in=served, working_out=max(0, before.total - served)).gain

    alike = [s for s in strong if s.form == "value" and s.cells.gain >= best.cells.gain - ALIKE]
    return max(alike, key=lambda s: (round(against_before(s), 3), -strong.index(s)))


def _pairs(comparison: Comparison) -> Iterator[Segment]:
    labels = candidates(comparison)
    failing, working = comparison.failing, comparison.working
    prices = Prices.of(comparison)
    alone = {label: cells_of(label, failing, working) for label in labels}
    for one, other in combinations(labels, 2):
        inside = failing.both(one, other)
        if split(one)[0] == split(other)[0] or inside is None or inside < MIN_FAILING:
            continue
        worked = working.both(one, other)
        if worked is None:
            worked = min(working.count(one), working.count(other))
        cells = Cells(
            failing_in=inside,
            failing_out=failing.total - inside,
            working_in=worked,
            working_out=working.total - worked,
        )
        # Each label must narrow the other one: otherwise the simpler group says the same.
        if all(_within(alone[label], cells) >= MIN_NARROW for label in (one, other)):
            yield Segment(
                form="pair", labels=(one, other), cells=cells, net=cells.gain - prices.pair(one, other)
            )


def _within(outer: Cells, inner: Cells) -> float:
    """Return what the inner group explains among the requests of the outer one."""
    return Cells(
        failing_in=inner.failing_in,
        failing_out=max(0, outer.failing_in - inner.failing_in),
        working_in=inner.working_in,
        working_out=max(0, outer.working_in - inner.working_in),
    ).gain


def _sets(comparison: Comparison) -> Iterator[Segment]:
    prices = Prices.of(comparison)
    names: dict[str, list[str]] = defaultdict(list)
    for label in candidates(comparison):
        names[split(label)[0]].append(label)
    for name, labels in names.items():
        rest = [
            label for label in comparison.working.labels if split(label)[0] == name and label not in labels
        ]
        if len(labels) + len(rest) > 2:  # of two values, both are everything
            yield from _greedy(labels, comparison, prices)
            yield from _range([*labels, *rest], comparison, prices)


def _greedy(labels: Sequence[str], comparison: Comparison, prices: Prices) -> Iterator[Segment]:
    """Add values while each explains more of what is left; the one that fails most comes first."""
    failing, working = comparison.failing, comparison.working
    cells = {label: cells_of(label, failing, working) for label in labels}
    ranked = sorted(
        (label for label in labels if cells[label].failing_in >= MIN_FAILING - 2),
        key=lambda label: (
            -cells[label].failing_in / (cells[label].failing_in + cells[label].working_in + 2),
            label,
        ),
    )
    if len(ranked) < 2:
        return
    union = cells[ranked[0]]
    for size, label in enumerate(ranked[1:MAX_SET], start=2):
        added = cells[label]
        left = Cells(
            failing_in=added.failing_in,
            failing_out=max(0, union.failing_out - added.failing_in),
            working_in=added.working_in,
            working_out=max(0, union.working_out - added.working_in),
        )
        if left.gain < MIN_STEP - 1:
            return
        union = _united(union, added)
        net = union.gain - prices.chosen(label, size)
        yield Segment(form="set", labels=tuple(ranked[:size]), cells=union, net=net)


def _range(labels: Sequence[str], comparison: Comparison, prices: Prices) -> Iterator[Segment]:
    """Yield both ends of values that have an order: versions and numbers."""
    values = {label: split(label)[1] for label in labels}
    if len(labels) < 3 or not all(_ORDERED.fullmatch(value) for value in values.values()):
        return
    ordered = sorted(labels, key=lambda label: [int(n) for n in re.findall(r"\d+", values[label])])
    for chosen in (ordered, ordered[::-1]):
        union: Cells | None = None
        for size, label in enumerate(chosen[:-1], start=1):
            added = cells_of(label, comparison.failing, comparison.working)
            union = added if union is None else _united(union, added)
            if size > 1 and added.failing_in:
                yield Segment(
                    form="range", labels=tuple(chosen[:size]), cells=union, net=union.gain - prices.end(label)
                )


def _united(union: Cells, added: Cells) -> Cells:
    return Cells(
        failing_in=union.failing_in + added.failing_in,
        failing_out=max(0, union.failing_out - added.failing_in),
        working_in=union.working_in + added.working_in,
        working_out=max(0, union.working_out - added.working_in),
    )


def _second(best: Segment, found: Sequence[Segment], comparison: Comparison) -> Segment | None:
    """Rank the rest again without the first group: two causes at once look like one that covers half."""
    if best.form in ("pair", "absence") or best.cells.coverage > MAX_REST:
        return None
    failing, working = comparison.failing, comparison.working
    names = {split(label)[0] for label in best.labels}
    prices = Prices.of(comparison)
    left: list[Segment] = []
    for other in found:
        label = other.labels[0]
        if other.form != "value" or split(label)[0] in names:
            continue
        shared = [failing.both(label, one) for one in best.labels]
        if None in shared:
            continue
        failed = other.cells.failing_in - sum(count or 0 for count in shared)
        # Rare labels of working requests are not counted in pairs: none shared is the careful assumption.
        worked = other.cells.working_in - sum(working.both(label, one) or 0 for one in best.labels)
        cells = Cells(
            failing_in=failed,
            failing_out=max(0, best.cells.failing_out - failed),
            working_in=max(0, worked),
            working_out=max(0, best.cells.working_out - worked),
        )
        left.append(replace(other, cells=cells, net=cells.gain - prices.value(label)))
    left.sort(key=order)
    if not left or not left[0].is_strong or left[0].explained.value < MIN_REST:
        return None
    return next(segment for segment in found if segment.labels == left[0].labels and segment.form == "value")
