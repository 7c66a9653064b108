"""Judges the series of own rules at whole minutes of which every partition has counted everything.

Events of one series may come from several partitions, so that no single one knows when a minute is complete.
The tick does: it judges a minute once, in order, as a replay does.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final
from uuid import UUID

from msgspec.structs import replace

from signals.clients.postgres import Connection
from signals.domain.detection.buckets import BucketRange
from signals.domain.detection.counts import MINUTES_READ, PrefixCounts
from signals.domain.incidents.following import SeriesRecord, begin_series
from signals.domain.incidents.record_codec import decode_record
from signals.domain.incidents.stored_state import StoredState
from signals.domain.incidents.watch import Watch
from signals.services.detection.own_endings import end_former
from signals.services.detection.own_tally import OwnSamples
from signals.services.detection.project_rules import ProjectRules, RuleBook
from signals.services.detection.resting import forgotten_after, rested
from signals.services.detection.turns import OwnCounts, SeriesTurn, judge_turns
from signals.store.detection import buckets, due_series, rule_minutes
from signals.store.detection.due_series import DueSeries, OwnState
from signals.store.detection.rule_minutes import MinuteRange
from signals.store.detection.rule_states import StateWrite

AHEAD: Final = 15  # minutes after the judged one that are looked at for events: clocks may be 10 ahead
DAY: Final = 24 * 60  # minutes

SeriesCounts = tuple[Mapping[int, int], Mapping[int, int]]
"""Events by minute, and those of a rate's denominator."""


def judge_own(
    connection: Connection,
    partition: int,
    minute: int,
    book: RuleBook,
    samples: OwnSamples,
    *,
    new_id: Callable[[], UUID],
) -> list[UUID]:
    """Judge a partition's series of own rules up to `minute`, which all partitions have counted.

    Series of rules that are off, gone or changed are let go, and their incidents end. Returns the ids of new
    summary jobs.
    """
    due = due_series.due(connection, partition=partition, minute=minute)
    if not due:
        return []
    rules = book.of(connection, {one.series.project_id for one in due})
    watched: list[tuple[DueSeries, Watch]] = []
    former: list[DueSeries] = []
    for one in due:
        watch = rules[one.series.project_id].watch_of(one.series.metric_name)
        if watch is None:
            former.append(one)
        elif not (one.needs_history and watch.seasonal):  # which housekeeping fills in
            watched.append((one, watch))
    if former:
        end_former(connection, former, rules, minute)
    counts = _counts(connection, [one for one, _ in watched], minute)
    resting = _pass_over(connection, watched, counts, minute)
    turns = [
        _turn(one, watch, rules[one.series.project_id], counts[one.series_id], minute, samples)
        for one, watch in watched
        if one.series_id not in resting
    ]
    return judge_turns(connection, turns, samples.records(), new_id, _save) if turns else []


def _pass_over(
    connection: Connection,
    watched: Sequence[tuple[DueSeries, Watch]],
    counts: Mapping[int, SeriesCounts],
    minute: int,
) -> Collection[int]:
    """Move the series on at which nothing changes but minutes; return their ids."""
    unchanged: list[int] = []
    moved: list[OwnState] = []
    for one, watch in watched:
        state = rested(one, watch, *counts[one.series_id], minute)
        if state is one.state and state is not None:
            unchanged.append(one.series_id)
        elif state is not None:
            moved.append(OwnState(series_id=one.series_id, is_due=True, judged=minute, state=state))
    if unchanged:
        due_series.move_on(connection, unchanged, minute)
    if moved:
        due_series.save(connection, moved)
    return {*unchanged, *(one.series_id for one in moved)}


def _save(connection: Connection, states: Sequence[StateWrite]) -> None:
    due_series.save(
        connection,
        [
            OwnState(series_id=one.series_id, is_due=one.by_clock, judged=one.judged, state=one.state)
            for one in states
        ],
    )


def _turn(
    due: DueSeries,
    watch: Watch,
    project: ProjectRules,
    counts: SeriesCounts,
    minute: int,
    samples: OwnSamples,
) -> SeriesTurn:
    values, whole = counts
    record, forgets = record_of(due), False
    newest = max((*values, *whole), default=0)
    first = min((at for at in values if record.judged < at <= minute), default=None)
    is_back = first is not None and first - record.last_event >= forgotten_after(watch)
    if first is not None and is_back and record.track.episode is None:
        record, forgets = begin_series(first), True
    start = min(record.judged, minute) - MINUTES_READ + 1
    return SeriesTurn(
        stored=_stored(due),
        watch=watch,
        clock=project.clock,
        record=record,
        until=minute,
        partition=due.partition,
        forgets=forgets,
        seen_at={} if watch.watches_silence else samples.seen_at(due.series, values),
        own=OwnCounts(
            counts=PrefixCounts.of(values, start, minute + 1),
            whole=PrefixCounts.of(whole, start, minute + 1) if watch.rule.whole is not None else None,
            since=_begun(due, project),
            is_awake=newest > minute - MINUTES_READ,
        ),
    )


def _begun(due: DueSeries, project: ProjectRules) -> int:
    """Return the minute from which the rule has counted the series, 0 when it knows the shared buckets."""
    own = project.own.by_metric.get(due.series.metric_name)
    return own.begun if own is not None and due.buckets is None else 0


def record_of(due: DueSeries) -> SeriesRecord:
    """Return a series' record; one that was never judged begins with its first event."""
    record = decode_record(due.state) if due.state is not None else None
    if record is None:
        begun = begin_series(min(due.first_bucket, due.judged + 1))
        return replace(begun, judged=due.judged, last_event=due.judged + 1)
    return replace(record, judged=due.judged)


def _counts(connection: Connection, due: Sequence[DueSeries], minute: int) -> Mapping[int, SeriesCounts]:
    """Read the minutes of all series: their own, or those of the buckets that they share."""
    starts = {one.series_id: min(one.judged, minute) - MINUTES_READ + 1 for one in due}
    own = [one for one in due if one.buckets is None]
    end = minute + AHEAD
    ranges = [MinuteRange(one.series_id, starts[one.series_id], end) for one in own]
    found: dict[int, SeriesCounts] = {
        one.series_id: counts
        for one, counts in zip(own, rule_minutes.read(connection, ranges) if own else (), strict=True)
    }
    shared = [(one, one.buckets) for one in due if one.buckets is not None]
    wanted = [BucketRange(series, starts[one.series_id], end, ()) for one, series in shared]
    for (one, _), values in zip(shared, buckets.read(connection, wanted) if shared else (), strict=True):
        found[one.series_id] = values, {}
    return found


def _stored(due: DueSeries) -> StoredState:
    return StoredState(
        series_id=due.series_id,
        series=due.series,
        first_bucket=due.first_bucket,
        partition=due.partition,
        needs_history=due.needs_history,
        judged=due.judged,
        state=due.state,
        has_open=due.has_open,
    )
