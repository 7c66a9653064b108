"""Turns the judged minutes of a series into changes of its incidents: open, keep fresh, worsen, reopen, end.

What happens to an incident is decided in `tracking`; here it becomes rows: severities, instants, the minutes
that represent it, and whether a summary is due.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from msgspec.structs import replace

from shared_types import RuleFingerprint, read_fingerprint
from signals.domain.detection.buckets import Series, instant_of, minute_of
from signals.domain.detection.counted import counted_in
from signals.domain.detection.default_rules import DEFAULT_RULES, ERROR_SPIKE
from signals.domain.detection.overflow import MOST_NEW_SERIES, is_overflow
from signals.domain.detection.rule_types import KNOWN_AFTER, Direction, Rule
from signals.domain.detection.severity import IncidentSeverity, severity_of
from signals.domain.detection.verdict import RuleVerdict
from signals.domain.incidents.episode import Episode, IncidentVerdict, ResolveReason
from signals.domain.incidents.following import FollowedMinute, SeriesRecord
from signals.domain.incidents.rule_words import minutes_of, rule_title, usual_of
from signals.domain.incidents.tracking import nearest_seasonal, resolved_by_hand, verdict_at
from signals.domain.incidents.transitions import IncidentStep, TrackState, Transition
from signals.domain.incidents.watch import Watch

IncidentKind = Literal["change", "new"]
"""`new`: the series had no history when the incident opened, so that its normal is unknown."""

SUMMARY_COOLDOWN_S: Final = 900  # guess: a still firing incident is worth a new summary each quarter hour


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenIncident:
    """An incident that is not resolved, as its rows say. `summary_asked_s_ago` is None when none was asked.

    `opened` are the numbers at its opening; minutes are since the epoch.
    """

    id: UUID
    severity: IncidentSeverity
    summary_asked_s_ago: float | None
    opened: RuleVerdict
    opened_at: int
    last_seen: int
    last_fired: int
    verdict: IncidentVerdict
    kind: IncidentKind


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedIncident:
    """How an incident ended that the series' record still believes open: `reason` is None when unknown."""

    reason: ResolveReason | None
    resolved_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentChange:
    """A change of one incident. `opened` and `opened_at` are set for one that opens.

    `reopens`: its row is resolved and opens again. `minutes` are those whose events represent the incident.
    `episode` is its state after the change; `numbers` are its verdict's, None when they did not change.
    """

    series: Series
    incident_id: UUID
    episode: Episode
    opened: RuleVerdict | None
    opened_at: datetime | None
    reopens: bool
    latest: RuleVerdict | None
    last_seen_at: datetime | None
    severity: IncidentSeverity
    summarize: bool
    minutes: tuple[int, ...]
    numbers: RuleVerdict | None
    rule_version: int
    direction: Direction
    known_from: int | None

    @property
    def kind(self) -> IncidentKind:
        """Whether something changed, or the series is new."""
        return "new" if self.episode.is_new else "change"


def reconciled(
    record: SeriesRecord, current: OpenIncident | None, ended: EndedIncident | None
) -> SeriesRecord:
    """Return the record after what people did: an incident resolved by hand, or opened again.

    An incident that the hourly sweep resolved by the clock goes on: its own minutes decide about its end.
    """
    track = record.track
    if track.episode is not None and (current is None or current.id != record.incident):
        if current is None and (ended is None or ended.reason != "by_hand"):
            return record
        # In the time of the events: a person who resolves an incident of old ones knows no newer ones yet.
        newest = max(record.judged + 1, track.episode.last_seen)
        minute = min(minute_of(ended.resolved_at), newest) if ended else record.judged
        record = replace(
            record,
            track=resolved_by_hand(track, minute),
            incident=None,
            last_incident=record.incident,
        )
    if current is None or record.track.episode is not None:
        return record
    last = record.track.last
    if last is not None and record.last_incident == current.id:
        episode = replace(
            last, resolved_at=None, reason=None, last_seen=current.last_seen, last_fired=current.last_fired
        )
    else:
        episode = Episode(
            rule=current.opened.rule,
            opened=current.opened,
            opened_at=current.opened_at,
            last_seen=current.last_seen,
            last_fired=current.last_fired,
            verdict=current.verdict,
            is_new=current.kind == "new",
        )
    track = replace(record.track, episode=episode, last=None)
    return replace(record, track=track, incident=current.id, last_incident=None)


class SeriesLives:
    """The incidents of one series while a batch's minutes are followed.

    `seen_at` gives the newest event time of each minute with events in the batch. `current` is the row of the
    record's open incident, None when that row is resolved already.
    """

    def __init__(
        self,
        series: Series,
        watch: Watch,
        record: SeriesRecord,
        *,
        current: OpenIncident | None,
        seen_at: Mapping[int, datetime],
        new_id: Callable[[], UUID],
    ) -> None:
        self._series = series
        self._watch = watch
        self._since = record.since
        self._seen_at = seen_at
        self._new_id = new_id
        self._lives: dict[UUID, _Life] = {}
        self._open: _Life | None = None
        self.incident, self.last_incident = record.incident, record.last_incident
        episode = record.track.episode
        if episode is not None and record.incident is not None:
            self._open = _Life(record.incident, episode, current, is_row_open=current is not None)
            self._lives[record.incident] = self._open

    def take(self, followed: FollowedMinute, track: TrackState) -> None:
        """Note what a judged minute did; `track` is the state after it."""
        for step in followed.steps:
            self._apply(step, followed, track)
        episode, life = followed.episode, self._open
        if episode is None:
            return
        if life is None:  # no id was stored for what the record believes open
            life = self._open = self._begin(episode, followed, track)
        life.episode = episode
        if episode.last_seen < followed.minute and not followed.is_apart:
            return
        verdict = verdict_at(self._watch, followed.evidence, track, followed.minute)
        if verdict is not None and (verdict.fires or episode.last_seen == followed.minute):
            life.see(followed.minute, verdict, self._severity(episode, verdict))

    def _apply(self, step: IncidentStep, followed: FollowedMinute, track: TrackState) -> None:
        match step.transition:
            case Transition.OPENED:
                self._open = self._begin(step.episode, followed, track)
            case Transition.REOPENED:
                self._open = self._return(step.episode, followed, track)
            case Transition.CONFIRMED:
                if self._open is not None:
                    self._open.numbers = step.episode.confirmed_by
            case Transition.ENDED:
                if self._open is not None:
                    self._open.episode = step.episode
                    self.incident, self.last_incident = None, self._open.id
                    self._open = None

    def _begin(self, episode: Episode, followed: FollowedMinute, track: TrackState) -> "_Life":
        life = _Life(self._new_id(), episode, None, is_row_open=False, opened=episode.opened)
        life.numbers = episode.confirmed_by or self._nearest(followed, track) or episode.opened
        return self._follow(life)

    def _return(self, episode: Episode, followed: FollowedMinute, track: TrackState) -> "_Life":
        if self.last_incident is None:  # its row is not known any more
            return self._begin(episode, followed, track)
        life = self._lives.get(self.last_incident) or _Life(
            self.last_incident, episode, None, is_row_open=False
        )
        life.is_back, life.episode = True, episode
        return self._follow(life)

    def _follow(self, life: "_Life") -> "_Life":
        self._lives[life.id] = life
        self.incident, self.last_incident = life.id, None
        return life

    def _nearest(self, followed: FollowedMinute, track: TrackState) -> RuleVerdict | None:
        return nearest_seasonal(self._watch, followed.evidence, track.seasonal, followed.minute)

    def _severity(self, episode: Episode, verdict: RuleVerdict) -> IncidentSeverity:
        """Return how bad it is, as the rule says if it does; a multiple of an unknown normal says nothing."""
        rule = _rule_of(self._watch, episode)
        if rule.severity is not None:
            return IncidentSeverity.parse(rule.severity)
        if episode.is_new and verdict.minute < self._since + KNOWN_AFTER:
            return IncidentSeverity.WARN
        return severity_of(verdict, rule.watched_direction)

    def changes(self) -> list[IncidentChange]:
        """Return the changes: at most one of each incident."""
        return [self._change(life) for life in self._lives.values() if life.has_changed]

    def _change(self, life: "_Life") -> IncidentChange:
        rule = _rule_of(self._watch, life.episode)
        seen = [self._seen_at.get(minute) or instant_of(minute) for minute in life.minutes]
        minute = life.episode.opened_at
        return IncidentChange(
            series=self._series,
            incident_id=life.id,
            episode=life.episode,
            opened=life.opened,
            opened_at=(self._seen_at.get(minute) or instant_of(minute)) if life.opened else None,
            reopens=life.opened is None and not life.is_row_open and life.episode.resolved_at is None,
            latest=life.latest,
            last_seen_at=max(seen, default=None),
            severity=life.severity,
            summarize=life.wants_summary(),
            minutes=tuple(life.minutes),
            numbers=life.numbers,
            rule_version=rule.version,
            direction=rule.watched_direction,
            known_from=self._since + KNOWN_AFTER if life.episode.is_new else None,
        )


class _Life:
    """One incident while a batch's minutes are applied to it."""

    def __init__(
        self,
        incident_id: UUID,
        episode: Episode,
        current: OpenIncident | None,
        *,
        is_row_open: bool,
        opened: RuleVerdict | None = None,
    ) -> None:
        self.id = incident_id
        self.episode = episode
        self.opened = opened
        self.is_row_open = is_row_open
        self.is_back = False
        self.latest: RuleVerdict | None = None
        self.numbers: RuleVerdict | None = None
        self.minutes: list[int] = []
        self.severity = current.severity if current else IncidentSeverity.WARN
        self._current = current
        self._before = episode
        self._fires = False

    def see(self, minute: int, verdict: RuleVerdict, severity: IncidentSeverity) -> None:
        """Let a minute represent it."""
        self.minutes.append(minute)
        self.severity = max(self.severity, severity)
        self._fires = self._fires or verdict.fires
        if self.latest is None or verdict.minute >= self.latest.minute:
            self.latest = verdict

    @property
    def has_changed(self) -> bool:
        """Whether rows must follow."""
        return bool(self.minutes) or self.opened is not None or self.episode != self._before

    def wants_summary(self) -> bool:
        """Whether a summary is due: it opened, came back, worsened, or still fires after a quarter hour."""
        if not self.minutes:
            return False
        current = self._current
        if self.opened is not None or self.is_back or current is None or self.severity > current.severity:
            return True
        if current.summary_asked_s_ago is None:
            return True
        return self._fires and current.summary_asked_s_ago >= SUMMARY_COOLDOWN_S


def _rule_of(watch: Watch, episode: Episode) -> Rule:
    if watch.seasonal is not None and episode.rule == watch.seasonal.name:
        return watch.seasonal
    if (rule := watch.fixed or watch.seasonal) is not None:
        return rule
    return next((one for one in DEFAULT_RULES if one.name == episode.rule), ERROR_SPIKE)  # all are disabled


def title_of(series: Series, opened: RuleVerdict, kind: IncidentKind = "change") -> str:
    """Name a new incident until a summary names it better."""
    named = read_fingerprint(series.fingerprint)
    if isinstance(named, RuleFingerprint):
        return rule_title(named, opened, is_new=kind == "new")
    counted = counted_in(named)
    happened = f"{opened.count} {counted.counted} in {minutes_of(opened.length)}"
    if counted.direction == "down":
        fell = f"{counted.counted.capitalize()} dropped in {series.environment}"
        title = f"{fell}: {opened.count} in {minutes_of(opened.length)}"
        return title if kind == "new" else f"{title}, usually {opened.normal:.0f}"
    if is_overflow(series):
        place = f"Errors beyond {MOST_NEW_SERIES} new fingerprints an hour in {series.environment}"
    else:
        place = f"{named.error_code or 'unknown'} on {named.route or 'unknown'} in {series.environment}"
    return f"{place}: {happened}, " + ("a new error" if kind == "new" else usual_of(opened.normal))
