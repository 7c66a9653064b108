"""Bounds how many fingerprints of errors a project may begin in an hour; the rest is counted in one series.

The hour is that in which the events were received. Which series are new, and how many began, is read and
written in the transaction that counts them: a batch that is read again is divided alike.
"""

from collections import defaultdict
from typing import Final

from signals.clients.postgres import Connection
from signals.domain.detection.buckets import Series
from signals.domain.detection.overflow import MOST_NEW_SERIES, is_overflow, overflow_of
from signals.services.detection.tally import BatchTally
from signals.store.detection import new_series
from signals.store.detection.new_series import ProjectHour

MOST_KNOWN: Final = 50_000  # series that one engine remembers to be known, at some 300 bytes each


class SeriesCap:
    """Folds a batch's series that are too many; remembers, between batches, those that are known."""

    def __init__(self, most: int = MOST_NEW_SERIES) -> None:
        self._most = most
        self._known: set[Series] = set()
        self._met: set[Series] = set()

    def fold(self, connection: Connection, tally: BatchTally) -> None:
        """Move the events of series that are too many; the batch's other series may begin.

        Engines of other partitions wait for this transaction only while the project's hour has room.
        """
        met = {one for one in tally.partitions if one.metric_name == "error_count"}
        fresh = met - self._known
        self._met = set()
        if not fresh:
            return
        known = new_series.known(connection, sorted(fresh))
        new: defaultdict[ProjectHour, list[Series]] = defaultdict(list)
        for series in tally.partitions:  # in order of arrival
            if series in fresh and series not in known and not is_overflow(series):
                new[series.project_id, tally.received_hour(series)].append(series)
        folded = self._divide(connection, new) if new else set()
        if folded:
            tally.fold({series: overflow_of(series) for series in sorted(folded)})
        self._met = fresh - folded

    def _divide(self, connection: Connection, new: dict[ProjectHour, list[Series]]) -> set[Series]:
        """Let series begin where there is room, and return the others."""
        begun = new_series.begun(connection, new, lock=False)
        if free := [key for key in new if begun[key] < self._most]:
            begun = {**begun, **new_series.begun(connection, free, lock=True)}
        rooms = {key: max(0, self._most - begun[key]) for key in new}
        if added := {key: min(rooms[key], len(series)) for key, series in new.items() if rooms[key]}:
            new_series.add(connection, added)
        return {one for key, series in new.items() for one in series[rooms[key] :]}

    def remember(self) -> None:
        """Remember the series of a batch that was committed."""
        if len(self._known) > MOST_KNOWN:
            self._known.clear()
        self._known |= self._met
        self._met = set()
