"""Makes a comparison from a list of events, for case files and tests; a server counts in its index."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from typing import Final

from signals.domain.findings.combinations import paired_labels
from signals.domain.findings.comparison import (
    BEFORE_MINUTES,
    MAX_SAMPLES,
    MAX_TEMPLATES,
    MAX_TERMS,
    Change,
    Comparison,
    ComparisonWindow,
    with_pairs,
)
from signals.domain.findings.labels import labels_of
from signals.domain.findings.onset import fall, rise
from signals.domain.findings.templates import template_of

FIRST_FAILING_STATUS: Final = 400
MAX_CHANGE_CHARS: Final = 200
PEOPLE: Final = ("customer_id", "user_id", "account_id", "session_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One event as it was received."""

    event_id: str
    at: datetime
    event_type: str
    message: str
    attributes: Mapping[str, object]

    @property
    def minute(self) -> int:
        """The event's minute since the epoch."""
        return int(self.at.timestamp()) // 60


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedSeries:
    """The fingerprint of the incident, without its environment; both None for a drop of signups."""

    is_drop: bool
    error_code: str | None = None
    route: str | None = None

    def holds(self, event: Observed) -> bool:
        """Whether the event was counted for this incident."""
        if self.is_drop:
            return event.event_type == "signup"
        return (
            event.event_type == "error"
            and event.attributes.get("error_code") == self.error_code
            and event.attributes.get("route") == self.route
        )

    def is_on_route(self, event: Observed) -> bool:
        """Whether the event is an error of the same route, under any code."""
        same = self.route is None or event.attributes.get("route") == self.route
        return not self.is_drop and event.event_type == "error" and same

    def works(self, event: Observed) -> bool:
        """Whether the event is a request of the same route that worked."""
        status = event.attributes.get("status_code")
        failed = isinstance(status, int) and status >= FIRST_FAILING_STATUS
        same = self.route is None or event.attributes.get("route") == self.route
        return event.event_type == "http_request" and same and not failed


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
        words=tuple(word for word in (series.error_code, series.route) if word),
        fixed=frozenset(("route",) if series.is_drop else ("route", "error_code", "method")),
        failing=window(failing),
        working=window(working),
        working_before=window(served),
        errors_before=window([event for event in before if event.event_type == "error"]),
        failing_before=window([] if series.is_drop else [event for event in before if series.holds(event)]),
        route_errors_before=window([event for event in before if series.is_on_route(event)]),
        errors=window([event for event in during if event.event_type == "error"]),
        samples=_samples(failing or [event for event in during if event.event_type == "error"]),
        changes=_changes(seen, onset.minute),
        distinct=_distinct(failing),
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


def _samples(events: Iterable[Observed]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = defaultdict(list)
    for event in events:
        kept = found[template_of(event.message)]
        if len(kept) < MAX_SAMPLES:
            kept.append(event.message)
    return {template: tuple(messages) for template, messages in found.items()}


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
            text=" ".join(event.message.split())[:MAX_CHANGE_CHARS],
            labels=labels_of(event.attributes),
            times=max(1, times[template_of(event.message)]),
        )
        for event in sorted(near, key=lambda event: event.at)
    )


def _distinct(events: Iterable[Observed]) -> dict[str, int]:
    """Count people and places that are affected."""
    values: dict[str, set[object]] = defaultdict(set)
    for event in events:
        for name in (*PEOPLE, "region"):
            value = event.attributes.get(name)
            if isinstance(value, str | int):
                values[name].add(value)
    return {name: len(found) for name, found in values.items()}
