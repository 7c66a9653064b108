"""Counts events in the series of own rules, in the caller's transaction, within each rule's bound."""

from collections.abc import Collection, Mapping
from typing import Final

from signals.clients.postgres import Connection
from signals.domain.detection.buckets import Series
from signals.domain.detection.rule_types import Seasonal
from signals.services.detection.own_tally import OwnTally
from signals.store.detection import due_series, own_series, rule_minutes
from signals.store.detection.own_series import NewOwnSeries

MOST_KNOWN: Final = 50_000  # ids of series that are remembered, at about 200 bytes each


class OwnCounting:
    """Counts batches. What it remembers of series is a cache of their table."""

    def __init__(self) -> None:
        self._ids: dict[Series, int] = {}

    def count(self, connection: Connection, tally: OwnTally) -> None:
        """Add a batch's events to the minutes of its series, new series among them, and wake these.

        Series beyond a rule's bound are folded into its series `other`, in the tally as well.
        """
        if not tally.series:
            return
        ids = self._resolved(connection, tally)
        woken = due_series.wake(connection, _first_minutes(tally, ids))
        if lost := [series for series, series_id in ids.items() if series_id not in woken]:
            for series in lost:  # retention has removed them since they were remembered
                self._ids.pop(series, None)
            ids = self._resolved(connection, tally)
            due_series.wake(connection, _first_minutes(tally, ids))
        rows = {
            (ids[series], minute): (count.value, count.whole)
            for series, counts in tally.series.items()
            if counts.own.buckets_of(series) is None
            for minute, count in counts.minutes.items()
        }
        if rows:
            rule_minutes.increment(connection, rows)

    def forget(self) -> None:
        """Forget what a transaction added that was not kept."""
        self._ids.clear()

    def _resolved(self, connection: Connection, tally: OwnTally) -> Mapping[Series, int]:
        """Return the id of every series of the tally, after folding."""
        unknown = [series for series in tally.series if series not in self._ids]
        if unknown:
            found = own_series.find(connection, unknown)
            missing = [series for series in unknown if series not in found]
            if len(self._ids) + len(unknown) > MOST_KNOWN:
                self._ids.clear()
                found = own_series.find(connection, list(tally.series))
            self._ids |= found
            if missing:
                self._ids |= _added(connection, tally, missing)
        return {series: self._ids[series] for series in tally.series}


def _first_minutes(tally: OwnTally, ids: Mapping[Series, int]) -> Mapping[int, int]:
    return {ids[series]: min(counts.minutes) for series, counts in tally.series.items()}


def _added(connection: Connection, tally: OwnTally, missing: Collection[Series]) -> Mapping[Series, int]:
    """Add series as far as their rules' bounds allow; fold the others into `other`."""
    by_other: dict[Series, list[Series]] = {}
    fits: list[Series] = []
    for series in missing:
        own = tally.series[series].own
        other = own.other(series.org_id, series.project_id)
        if series == other:
            fits.append(other)
        else:
            by_other.setdefault(other, []).append(series)
    found: dict[Series, int] = {}
    for other, wanted in sorted(by_other.items()):
        most = tally.series[wanted[0]].own.rule.max_series
        room = max(0, most - own_series.count_locked(connection, other, most=most))
        added_meanwhile = own_series.find(connection, wanted)  # before the lock was ours
        found |= added_meanwhile
        new = [series for series in wanted if series not in added_meanwhile]
        fits += new[:room]
        for series in new[room:]:
            tally.fold(series, other)
        if new[room:]:
            known = own_series.find(connection, [other])
            found |= known
            fits += [other] if other not in known and other not in fits else []
    if fits:
        found |= own_series.add(connection, [_new(tally, series) for series in fits])
    return found


def _new(tally: OwnTally, series: Series) -> NewOwnSeries:
    counts = tally.series[series]
    shared = counts.own.buckets_of(series)
    return NewOwnSeries(
        series=series,
        partition=counts.partition,
        minute=min(counts.minutes),
        buckets=shared,
        learns=shared is not None and isinstance(counts.own.rule, Seasonal),
    )
