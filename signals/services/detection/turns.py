"""Judges series by their minutes: reads counts and hours, follows the minutes, writes what changed.

An evaluation reads at most 75 minutes and one state row; an hour that closes reads up to 18 stored hours.
All of it happens in the caller's transaction.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from signals.clients.postgres import Connection
from signals.domain.detection.buckets import BucketRange, ranges
from signals.domain.detection.calendar import ProjectClock
from signals.domain.detection.counts import MINUTES_READ, BucketCounts, MinuteCounts, PrefixCounts
from signals.domain.detection.new_level import is_settled
from signals.domain.detection.season import HOUR
from signals.domain.incidents.episode import GONE_AFTER
from signals.domain.incidents.following import SeriesFollower, SeriesRecord, Surroundings
from signals.domain.incidents.lifecycle import IncidentChange, OpenIncident, SeriesLives, reconciled
from signals.domain.incidents.record_codec import encode_record
from signals.domain.incidents.series_history import Hours, is_remarkable, known, needed_hours
from signals.domain.incidents.stored_state import StoredState
from signals.domain.incidents.watch import Watch
from signals.services.detection.incident_writes import write
from signals.services.detection.tally import SeriesMinute
from signals.store.detection import buckets, hours, rule_states
from signals.store.detection.rule_states import StateWrite
from signals.store.incidents import incidents
from signals.store.incidents.incidents import key_of

CATCH_UP: Final = 24 * 60  # minutes of silence that are judged one by one; of a longer one the last (guess)


@dataclass(frozen=True, slots=True)
class OwnCounts:
    """Minutes of a series that its caller has read. `whole` is the denominator of a rate.

    `since` is the minute from which its rule has counted, 0 when it knows the project's counters.
    `is_awake`: events wait for the next tick, or may still matter then.
    """

    counts: MinuteCounts
    whole: MinuteCounts | None
    since: int
    is_awake: bool


@dataclass(slots=True, kw_only=True)
class SeriesTurn:
    """One series that is judged: its state, and which minutes.

    `until` is the newest minute to judge in order, None for none; `apart` are judged by the fixed rule alone.
    `is_disordered`: it was counted out of order, and its history is not learned anew yet.
    `own` holds the counts of a series of a rule that people wrote; other series read their buckets.
    """

    stored: StoredState
    watch: Watch
    clock: ProjectClock
    record: SeriesRecord
    until: int | None
    again: bool = False
    apart: Sequence[int] = ()
    seen_at: Mapping[int, datetime] = field(default_factory=dict)
    partition: int = 0
    current: OpenIncident | None = None
    forgets: bool = False
    is_disordered: bool = False
    own: OwnCounts | None = None

    @property
    def reads(self) -> Iterable[BucketRange]:
        """The ranges of buckets that judging needs: one for the minutes in order, others for those apart."""
        if self.own is not None:
            return
        if self.until is not None:
            start = min(self.record.judged, self.until) - MINUTES_READ + 1
            yield BucketRange(self.stored.series, start, self.until + 1, ())
        if self.apart:
            yield from ranges({self.stored.series: self.apart}, MINUTES_READ)


def judge_turns(
    connection: Connection,
    turns: Sequence[SeriesTurn],
    kept: Mapping[SeriesMinute, Sequence[bytes]],
    new_id: Callable[[], UUID],
    save: Callable[[Connection, Sequence[StateWrite]], None] = rule_states.save,
) -> list[UUID]:
    """Judge series by the turns' minutes; `kept` holds records, `save` stores the states. Return new jobs."""
    _reconcile(connection, turns)
    since = _project_since(connection, turns)
    past = _hours(connection, turns)
    counts = _counts(connection, turns)
    changes: list[IncidentChange] = []
    states: list[StateWrite] = []
    closed: dict[tuple[int, int], hours.HourValues] = {}
    forgotten: dict[int, int] = {}
    for turn in turns:
        series_id = turn.stored.series_id
        before = past.get(series_id, {})
        around = Surroundings(
            counts=counts[series_id],
            hours=dict(before),
            project_since=_counted_since(turn, since),
            clock=turn.clock,
            whole=turn.own.whole if turn.own else None,
            is_disordered=turn.is_disordered,
        )
        record, found, first = _follow(turn, around, new_id)
        changes += found
        for hour, row in around.hours.items():
            if before.get(hour) != row and (is_remarkable(row) or hour in before):
                closed[series_id, hour] = row.stored
        if first is not None or turn.forgets:
            forgotten[series_id] = record.kept.first
        if (state := _state(turn, record)) is not None:
            states.append(state)
    if forgotten:
        hours.forget(connection, forgotten)
    if closed:
        hours.write(connection, closed)
    if states:
        save(connection, states)
    return write(connection, changes, kept, new_id) if changes else []


def _follow(
    turn: SeriesTurn, around: Surroundings, new_id: Callable[[], UUID]
) -> tuple[SeriesRecord, list[IncidentChange], int | None]:
    """Lead one series through its minutes; return its record, the changes, and its new first hour."""
    follower = SeriesFollower(turn.watch, turn.record, around)
    lives = SeriesLives(
        turn.stored.series,
        turn.watch,
        turn.record,
        current=turn.current,
        seen_at=turn.seen_at,
        new_id=new_id,
    )
    late = [minute for minute in turn.apart if minute < turn.record.judged]
    for minute in late:
        lives.take(follower.judge_apart(minute, around.counts), follower.track)
    if turn.until is not None:
        not_before = turn.until - CATCH_UP if turn.watch.watches_silence else 0
        for followed in follower.advance(turn.until, again=turn.again, not_before=not_before):
            lives.take(followed, follower.track)
    for minute in turn.apart[len(late) :]:
        lives.take(follower.judge_apart(minute, around.counts), follower.track)
    record = follower.record(lives.incident, lives.last_incident)
    return record, lives.changes(), follower.forgotten_before


def _state(turn: SeriesTurn, record: SeriesRecord) -> StateWrite | None:
    """Return the state to store, None when it stands there already."""
    stored = turn.stored
    is_gone = (turn.until is None and not turn.seen_at) or record.judged - record.last_event >= GONE_AFTER
    waits = turn.watch.watches_silence and not is_gone
    by_clock = record.track.episode is not None or waits or (turn.own is not None and turn.own.is_awake)
    data = encode_record(record)
    is_stored = data == stored.state and record.judged == stored.judged and turn.partition == stored.partition
    if is_stored and not is_gone:
        return None
    return StateWrite(
        series_id=stored.series_id,
        partition=turn.partition,
        by_clock=by_clock,
        judged=record.judged,
        state=data,
    )


def _reconcile(connection: Connection, turns: Sequence[SeriesTurn]) -> None:
    """Lock the open incidents of these series, and learn what people did to them."""
    asked = [turn for turn in turns if turn.stored.has_open or turn.record.incident is not None]
    if not asked:
        return
    current = incidents.lock_open(connection, [turn.stored.series for turn in asked])
    gone = [
        turn.record.incident
        for turn in asked
        if turn.record.incident is not None and key_of(turn.stored.series) not in current
    ]
    ended = incidents.ended(connection, gone) if gone else {}
    for turn in asked:
        turn.current = current.get(key_of(turn.stored.series))
        known_end = ended.get(turn.record.incident) if turn.record.incident else None
        turn.record = reconciled(turn.record, turn.current, known_end)


def _counted_since(turn: SeriesTurn, project_since: Mapping[str, int]) -> int:
    """Return the minute from which the events of the project, and for the rule, are counted."""
    known = project_since.get(turn.stored.series.project_id, turn.record.since)
    return max(known, turn.own.since) if turn.own else known


def _project_since(connection: Connection, turns: Sequence[SeriesTurn]) -> Mapping[str, int]:
    """Ask when the projects of young series began; an older series says that its project is older, too."""
    young = {
        turn.stored.series.project_id
        for turn in turns
        if min((turn.record.judged, *turn.apart)) < turn.record.since + MINUTES_READ  # as long as any learns
    }
    return rule_states.project_since(connection, young) if young else {}


def _hours(connection: Connection, turns: Sequence[SeriesTurn]) -> Mapping[int, Hours]:
    """Read the stored hours that closing hours needs, and those of a level whose trial is over."""
    wanted: dict[int, set[int]] = {}
    for turn in turns:
        if turn.until is None or turn.watch.seasonal is None or turn.forgets:
            continue
        kept, until = turn.record.kept, turn.until // HOUR
        needed = needed_hours(kept, until, turn.clock)
        seasonal = turn.record.track.seasonal
        if until > kept.hour and is_settled(seasonal, until * HOUR):
            needed |= set(range(seasonal.moved_since // HOUR, kept.hour))
        if needed:
            wanted[turn.stored.series_id] = needed
    found = hours.read(connection, wanted) if wanted else {}
    return {series_id: known(rows) for series_id, rows in found.items()}


def _counts(connection: Connection, turns: Sequence[SeriesTurn]) -> Mapping[int, MinuteCounts]:
    """Read the buckets of all turns at once; return the counts by series id."""
    reads = [(turn, read) for turn in turns for read in turn.reads]
    found = buckets.read(connection, [read for _, read in reads]) if reads else []
    merged: dict[int, dict[int, int]] = {}
    for (turn, _), values in zip(reads, found, strict=True):
        merged.setdefault(turn.stored.series_id, values).update(values)
    return {turn.stored.series_id: _as_counts(turn, merged.get(turn.stored.series_id, {})) for turn in turns}


def _as_counts(turn: SeriesTurn, values: Mapping[int, int]) -> MinuteCounts:
    if turn.own is not None:
        return turn.own.counts
    if turn.apart or turn.until is None:
        return BucketCounts(values)
    start = min(turn.record.judged, turn.until) - MINUTES_READ + 1
    return PrefixCounts.of(values, start, turn.until + 1)
