"""Follows one series through its minutes: the one way in which live evaluation and replay judge.

Hours are closed on the way. Nothing is read or stored here.
"""

from collections.abc import Iterator
from typing import Self
from uuid import UUID

import msgspec
from msgspec.structs import replace

from signals.domain.detection.calendar import ProjectClock
from signals.domain.detection.counts import MinuteCounts
from signals.domain.detection.new_level import is_settled, settled
from signals.domain.detection.season import HOUR
from signals.domain.detection.seasonal_state import SeasonalState
from signals.domain.incidents.candidates import candidates
from signals.domain.incidents.episode import Episode
from signals.domain.incidents.evidence import Evidence
from signals.domain.incidents.series_history import Hours, KeptHours, begin, begin_again, close, context_of
from signals.domain.incidents.tracking import judge_late, step
from signals.domain.incidents.transitions import IncidentStep, Tracked, TrackState
from signals.domain.incidents.watch import Watch


class SeriesRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A series between two evaluations. Minutes are since the epoch.

    `since` is its first minute, `judged` the newest that was judged, `last_event` the newest with an event.
    `incident` is the id of the open incident, `last_incident` of the newest resolved one; a replay has none.
    """

    since: int
    judged: int
    last_event: int
    kept: KeptHours
    track: TrackState
    incident: UUID | None = None
    last_incident: UUID | None = None


def begin_series(since: int) -> SeriesRecord:
    """Return the record of a series whose first event came at the minute `since`."""
    return SeriesRecord(
        since=since,
        judged=since - 1,
        last_event=since,
        kept=begin(since),
        track=TrackState(seasonal=SeasonalState(since=since)),
    )


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """The surroundings of a series: its minutes and stored hours, its project with clock and calendar.

    `hours` is added to. `whole` is the denominator of a rate rule. `is_disordered`: minutes came out of
    order, and some may be missing.
    """

    counts: MinuteCounts
    hours: Hours
    project_since: int
    clock: ProjectClock
    whole: MinuteCounts | None = None
    is_disordered: bool = False


class FollowedMinute(msgspec.Struct, frozen=True, kw_only=True):
    """One judged minute: what happened to incidents, and the one that is open after it.

    `is_apart`: it was judged out of order.
    """

    minute: int
    evidence: Evidence
    steps: tuple[IncidentStep, ...]
    closed: tuple[Episode, ...]
    episode: Episode | None
    is_apart: bool = False

    @classmethod
    def of(cls, minute: int, evidence: Evidence, tracked: Tracked, *, is_apart: bool = False) -> Self:
        """Return what judging `minute` by the evidence came to."""
        return cls(
            minute=minute,
            evidence=evidence,
            steps=tracked.steps,
            closed=tracked.closed if tracked.steps else (),
            episode=tracked.state.episode,
            is_apart=is_apart,
        )


class SeriesFollower:
    """Leads one series from minute to minute.

    Minutes at which no rule can fire are skipped, unless `every_minute`. `track` is the state after the
    newest minute. `forgotten_before` is the first hour that is still history when a new level became usual
    on the way, else None.
    """

    def __init__(
        self, watch: Watch, record: SeriesRecord, around: Surroundings, *, every_minute: bool = False
    ) -> None:
        self.track = record.track
        self.forgotten_before: int | None = None
        self._watch = watch
        self._around = around
        self._begun = record
        self._judged, self._last_event, self._kept = record.judged, record.last_event, record.kept
        self._skips = not every_minute
        self._fewest = watch.fewest_events if self._skips and not watch.watches_silence else 0.0
        self._evidence: Evidence | None = None  # of the open hour, made when a minute is judged

    def record(self, incident: UUID | None = None, last_incident: UUID | None = None) -> SeriesRecord:
        """Return the series' record after the newest minute, with the ids of its incidents."""
        return SeriesRecord(
            since=self._begun.since,
            judged=self._judged,
            last_event=self._last_event,
            kept=self._kept,
            track=self.track,
            incident=incident,
            last_incident=last_incident,
        )

    def advance(self, until: int, *, again: bool = False, not_before: int = 0) -> Iterator[FollowedMinute]:
        """Judge the minutes after the newest judged one up to `until`, which may still grow.

        `again` judges the newest judged one again. Hours before the minute `not_before` are closed unjudged
        while no incident is open.
        """
        minute = max(self._judged + (0 if again else 1), self._begun.since)
        while minute <= until:
            if minute < not_before and self.track.episode is None:
                minute = not_before
            self._close_hours_before(minute // HOUR)
            end = min(until, (minute // HOUR + 1) * HOUR - 1)
            if not self._is_idle(minute, end):
                yield from self._judge_all(minute, end)
            minute = end + 1
        self._judged = max(self._judged, until)

    def judge_apart(self, minute: int, counts: MinuteCounts) -> FollowedMinute:
        """Judge a minute out of order, by the fixed rule alone: nothing is learned from it."""
        evidence = replace(self._evidence_of_hour(), counts=counts, context=None)
        tracked = judge_late(self._watch, evidence, self.track, minute)
        self.track = tracked.state
        return FollowedMinute.of(minute, evidence, tracked, is_apart=True)

    def _judge_all(self, minute: int, end: int) -> Iterator[FollowedMinute]:
        """Judge the minutes of a part of an hour that matter: all while an incident is open."""
        waiting: Iterator[int] | None = None
        first = minute
        while minute <= end:
            if self.track.episode is not None or not self._skips:
                waiting = None
            else:
                if waiting is None:
                    waiting = self._candidates(minute, end)
                minute = next(waiting, end + 1)
                if minute > end:
                    break
            yield self._judge(minute)
            minute += 1
        self._note_events(first, end)

    def _candidates(self, minute: int, end: int) -> Iterator[int]:
        evidence = self._evidence_of_hour()
        return iter(
            candidates(self._watch, evidence.context, evidence.counts, self.track.seasonal, minute, end)
        )

    def _judge(self, minute: int) -> FollowedMinute:
        if self._around.counts.between(minute, minute + 1):
            self._last_event = max(self._last_event, minute)
        last_event = min(minute, self._last_event)
        evidence = self._evidence_of_hour()
        tracked = step(self._watch, evidence, self.track, minute, last_event=last_event)
        self.track = tracked.state
        return FollowedMinute.of(minute, evidence, tracked)

    def _is_idle(self, minute: int, end: int) -> bool:
        """Say whether no minute of this part of an hour can matter; note its newest event."""
        if not self._fewest or self.track.episode is not None:
            return False
        total = self._around.counts.between(minute - HOUR + 1, end + 1)
        if total >= self._fewest:
            return False
        if total:
            self._note_events(minute, end)
        return True

    def _note_events(self, minute: int, end: int) -> None:
        """Note the newest minute with an event of this part of an hour."""
        counts = self._around.counts
        if end > self._last_event and counts.between(minute, end + 1):
            newest = next(one for one in range(end, minute - 1, -1) if counts.between(one, one + 1))
            self._last_event = max(self._last_event, newest)

    def _close_hours_before(self, hour: int) -> None:
        rule, kept = self._watch.seasonal, self._kept
        if rule is None or kept.hour >= hour:
            return
        around, seasonal = self._around, self.track.seasonal
        while kept.hour < hour:
            kept, seasonal = close(rule, kept, seasonal, around.counts, around.hours, around.clock)
            if self.track.episode is None and is_settled(seasonal, kept.hour * HOUR):
                seasonal = settled(seasonal)
                kept = begin_again(kept, seasonal.since, around.hours, around.clock, rule.direction)
                self.forgotten_before = kept.first
        self._kept, self.track = kept, replace(self.track, seasonal=seasonal)
        self._evidence = None

    def _evidence_of_hour(self) -> Evidence:
        if self._evidence is None:
            rule, around = self._watch.seasonal, self._around
            self._evidence = Evidence(
                counts=around.counts,
                context=context_of(rule, self._kept, self.track.seasonal, around.clock) if rule else None,
                project_since=around.project_since,
                since=self._begun.since,
                whole=around.whole,
                is_disordered=around.is_disordered,
            )
        return self._evidence
