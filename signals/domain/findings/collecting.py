"""Makes a comparison from a list of events, for case files and tests; a server counts in its index."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import combinations

from signals.domain.findings.combinations import paired_labels
from signals.domain.findings.comparison import (
    BEFORE_MINUTES,
    MAX_TEMPLATES,
    MAX_TERMS,
    Change,
    Comparison,
    ComparisonWindow,
    change_text,
    distinct_of,
    samples_of,
    with_pairs,
)
from signals.domain.findings.labels import labels_of
from signals.domain.findings.onset import fall, rise
from signals.domain.findings.series import ComparedSeries, Observed
from signals.domain.findings.templates import template_of


def compare(events: Sequence[Observed], series: ComparedSeries, now: int) -> Comparison:
    """Count what the comparison needs of the events of one environment up to the minute `now`.

    As in an index, pairs are counted when single labels have shown which of them can matter.
    """
    seen = [event for event in events if event.minute <= now]
    counts = Counter(event.minute for event in seen if series.holds(event))
    onset = fall(counts, now) if series.is_drop else rise(counts, now)
    during = [event for event in seen if event.minute >= onset.minute]
    before = [event for event in seen if onset.minute - BEFORE_MINUTES <= event.minute < onset.minute]
    failing = [] if series.is_drop else [event for event in during if series.holds(event)]
    working = [event for event in during if (series.holds if series.is_drop else series.works)(event)]
    served = [event for event in before if (series.holds if series.is_drop else series.works)(event)]
    counted = Comparison(
        is_drop=series.is_drop,
        onset=onset,
        now=now,
        words=series.words,
        fixed=series.fixed,
        failing=window(failing),
        working=window(working),
        working_before=window(served),
        errors_before=window([event for event in before if event.event_type == "error"]),
        failing_before=window([] if series.is_drop else [event for event in before if series.holds(event)]),
        route_errors_before=window([event for event in before if series.is_on_route(event)]),
        errors=window([event for event in during if event.event_type == "error"]),
        samples=samples_of(
            (template_of(event.message), event.message)
            for event in failing or [event for event in during if event.event_type == "error"]
        ),
        changes=_changes(seen, onset.minute),
        distinct=distinct_of(label for event in failing for label in labels_of(event.attributes)),
    )
    chosen = paired_labels(counted)
    return with_pairs(counted, chosen, failing=_pairs(failing, chosen), working=_pairs(working, chosen))


def window(events: Sequence[Observed]) -> ComparisonWindow:
    """Count labels and templates, each list as bounded as an index's."""
    counts = Counter(label for event in events for label in labels_of(event.attributes))
    listed = dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MAX_TERMS])
    templates = Counter(template_of(event.message) for event in events)
    return ComparisonWindow(
        total=len(events),
        labels=listed,
        templates=dict(templates.most_common(MAX_TEMPLATES)),
        is_cut=len(counts) > MAX_TERMS,
    )


def _pairs(events: Sequence[Observed], chosen: Sequence[str]) -> Counter[tuple[str, str]]:
    wanted = frozenset(chosen)
    rows = (sorted(wanted.intersection(labels_of(event.attributes))) for event in events) if wanted else ()
    return Counter(pair for row in rows for pair in combinations(row, 2))


def _changes(events: Iterable[Observed], onset: int) -> tuple[Change, ...]:
    """Collect deploys and custom events of the hour before the end of the onset's minute."""
    known = [event for event in events if event.event_type in ("deploy", "custom")]
    near = [event for event in known if onset - BEFORE_MINUTES <= event.minute <= onset]
    times = Counter(template_of(event.message) for event in known if event.event_type == "custom")
    return tuple(
        Change(
            event_id=event.event_id,
            kind="deploy" if event.event_type == "deploy" else "custom",
            at=event.at,
            text=change_text(event.message),
            labels=labels_of(event.attributes),
            times=max(1, times[template_of(event.message)]),
        )
        for event in sorted(near, key=lambda event: event.at)
    )
