"""Lets late events reach hours that are closed, in the batch's transaction: no bucket is read for it.

Each late event is added once to its hour. Where too many came late, the series is noted: it is judged without
its history until this was learned anew from its buckets (`history_filling.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from signals.clients.postgres import Connection
from signals.domain.incidents.following import SeriesRecord
from signals.domain.incidents.late_events import LateEvents, absorbed, is_disorder
from signals.store.detection import hours, waiting_series

_Rows = Mapping[
    tuple[int, int], tuple[int, int, int]
]  # by series id and hour: events, late ones, clean minutes


@dataclass(frozen=True, slots=True, kw_only=True)
class LateSeries:
    """A series with late events in this batch. `is_waiting`: its history is to be learned anew anyway."""

    series_id: int
    record: SeriesRecord
    late: LateEvents
    is_waiting: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Absorbed:
    """The record of a series after its late events. `is_disordered`: they were too many for it."""

    record: SeriesRecord
    is_disordered: bool


def absorb(connection: Connection, found: Sequence[LateSeries]) -> list[Absorbed]:
    """Add late events to stored hours and records; note which series were counted out of order."""
    late = [one for one in found if one.late.hours and not one.is_waiting]
    rows, totals = _add(connection, late) if late else ({}, {})
    out = [_absorbed(one, rows, totals) for one in found]
    disordered = {
        one.series_id: one.record.since if one.late.first is None else one.late.first
        for one, after in zip(found, out, strict=True)
        if after.is_disordered
    }
    if disordered:
        waiting_series.note_disorder(connection, disordered)
    return out


def _add(connection: Connection, late: Sequence[LateSeries]) -> tuple[_Rows, Mapping[int, int]]:
    added = {
        (one.series_id, hour): (events.events, events.clean)
        for one in late
        for hour, events in one.late.hours.items()
    }
    of_series = {one.series_id: sum(hour.events for hour in one.late.hours.values()) for one in late}
    return hours.add_late(connection, added), waiting_series.add_late(connection, of_series)


def _absorbed(one: LateSeries, rows: _Rows, totals: Mapping[int, int]) -> Absorbed:
    record, is_disordered = one.record, one.is_waiting or one.late.first is not None
    if one.series_id in totals:
        of_hours = {hour: rows[one.series_id, hour] for hour in one.late.hours}
        clean_minutes = {hour: minutes for hour, (_, _, minutes) in of_hours.items()}
        record = absorbed(record, one.late.hours, clean_minutes)
        is_disordered |= is_disorder(record.kept.value, totals[one.series_id])
        is_disordered |= any(is_disorder(value, late) for value, late, _ in of_hours.values())
    return Absorbed(record=record, is_disordered=is_disordered)
