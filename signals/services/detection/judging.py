"""Chooses the series to judge, and their minutes: those that a batch touched, and those that are silent.

All of it happens in the caller's transaction.
"""

from collections.abc import Callable, Sequence
from uuid import UUID

from msgspec.structs import replace

from signals.clients.postgres import Connection
from signals.domain.detection.calendar import ProjectClock
from signals.domain.detection.rule_types import FORGOTTEN_AFTER
from signals.domain.detection.season import HOUR
from signals.domain.incidents.following import SeriesRecord, begin_series
from signals.domain.incidents.late_events import late_events
from signals.domain.incidents.record_codec import decode_record
from signals.domain.incidents.stored_state import StoredState
from signals.domain.incidents.watch import Watch
from signals.services.detection.late_minutes import LateSeries, absorb
from signals.services.detection.project_rules import RuleBook
from signals.services.detection.tally import BatchTally
from signals.services.detection.turns import CATCH_UP, SeriesTurn, judge_turns
from signals.store.detection import rule_states


def judge_batch(
    connection: Connection, tally: BatchTally, book: RuleBook, *, now: int, new_id: Callable[[], UUID]
) -> list[UUID]:
    """Judge the series that a batch touched, after its buckets were written; return ids of new summary jobs.

    `now` is the present minute. Counters of which a fall is bad are left to the clock, unless the events are
    older than what it catches up with.
    """
    touched = tally.touched()
    states = rule_states.load(connection, touched)
    if missing := {series: min(touched[series]) for series in touched if series not in states}:
        rule_states.insert(connection, missing, tally.partitions)
        states = {**states, **rule_states.load(connection, missing)}
    rules = book.of(connection, {series.project_id for series in touched})
    turns = []
    for series, minutes in touched.items():
        watch = rules[series.project_id].watches.get(series.metric_name)
        if watch is None:
            continue
        turn = _turn_of_batch(states[series], watch, rules[series.project_id].clock, sorted(minutes), now)
        turn.seen_at = tally.seen_at(series, minutes)
        turn.partition = tally.partitions[series]
        turns.append(turn)
    _absorb_late(connection, turns, tally)
    return judge_turns(connection, turns, tally.records(), new_id)


def judge_by_clock(
    connection: Connection, partition: int, minute: int, book: RuleBook, *, new_id: Callable[[], UUID]
) -> list[UUID]:
    """Judge the silence of a partition's series up to `minute`, of which everything has been counted.

    These are series of which a fall is bad, and all with an open incident.
    """
    states = rule_states.by_clock(connection, partition=partition, minute=minute)
    if not states:
        return []
    rules = book.of(connection, {stored.series.project_id for stored in states})
    turns = []
    for stored in states:
        project = rules[stored.series.project_id]
        watch = project.watches.get(stored.series.metric_name)
        if watch is not None:
            watch = _without_season(watch, stored)
            record = _record(stored)
            is_over = minute - record.judged >= FORGOTTEN_AFTER
            until = None if is_over else minute
            turn = SeriesTurn(stored=stored, watch=watch, clock=project.clock, record=record, until=until)
            turn.partition, turn.is_disordered = partition, stored.is_disordered
            turns.append(turn)
    return judge_turns(connection, turns, {}, new_id)


def _turn_of_batch(
    stored: StoredState, watch: Watch, clock: ProjectClock, minutes: Sequence[int], now: int
) -> SeriesTurn:
    watch, record, forgets = _without_season(watch, stored), _record(stored), False
    arrived = [minute for minute in minutes if minute <= now]
    if arrived and arrived[-1] - record.last_event >= FORGOTTEN_AFTER and record.track.episode is None:
        first = next(minute for minute in arrived if minute - record.last_event >= FORGOTTEN_AFTER)
        record, forgets = begin_series(first), True
    turn = SeriesTurn(stored=stored, watch=watch, clock=clock, record=record, until=None, forgets=forgets)
    turn.is_disordered = stored.is_disordered
    if watch.watches_silence:
        until = min(arrived[-1] - 1, now - CATCH_UP) if arrived else record.judged
        turn.until = until if until > record.judged else None
        return turn
    if arrived and arrived[-1] >= record.judged:
        turn.until = arrived[-1]
        turn.again = record.judged in minutes
    turn.apart = [minute for minute in minutes if minute < record.judged or minute > now]
    return turn


def _absorb_late(connection: Connection, turns: Sequence[SeriesTurn], tally: BatchTally) -> None:
    """Add the batch's events of closed hours to these, and to the records of their series."""
    found: list[LateSeries] = []
    of: list[SeriesTurn] = []
    for turn in turns:
        stored = turn.stored
        if turn.forgets or min(turn.seen_at) >= turn.record.kept.hour * HOUR:
            continue
        added = {minute: tally.buckets[stored.series, minute].count for minute in turn.seen_at}
        if late := late_events(turn.record, added):
            of.append(turn)
            found.append(
                LateSeries(
                    series_id=stored.series_id, record=turn.record, late=late, is_waiting=stored.needs_history
                )
            )
    for turn, absorbed in zip(of, absorb(connection, found), strict=True):
        turn.record = absorbed.record
        if absorbed.is_disordered:
            turn.is_disordered = True
            turn.watch = replace(turn.watch, seasonal=None) if turn.watch.fixed else turn.watch


def _without_season(watch: Watch, stored: StoredState) -> Watch:
    """Leave the seasonal rule out while hours of older buckets are not filled in."""
    return replace(watch, seasonal=None) if stored.needs_history and watch.fixed else watch


def _record(stored: StoredState) -> SeriesRecord:
    record = decode_record(stored.state) if stored.state is not None else None
    if record is None:
        return replace(begin_series(stored.first_bucket), judged=stored.judged)
    return replace(record, judged=stored.judged)
