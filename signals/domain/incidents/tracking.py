"""One minute of one series: what the rules say, and what that does to its incident."""

from dataclasses import dataclass, replace
from typing import Final

from signals.domain.detection import fixed_rules, lasting, seasonal
from signals.domain.detection.counts import MinuteCounts
from signals.domain.detection.rule_types import KNOWN_AFTER, Absence, Drop, FloorRatio, NewSeries, Rate
from signals.domain.detection.seasonal import Finding, Frozen
from signals.domain.detection.seasonal_state import NEVER, HourContext, SeasonalState
from signals.domain.detection.seasonal_verdict import verdict_of
from signals.domain.detection.verdict import RuleVerdict
from signals.domain.incidents.episode import (
    CONFIRM_WITHIN,
    GONE_AFTER,
    NOT_A_LEVEL,
    USUAL_AFTER,
    Episode,
    IncidentVerdict,
    confirmed,
    due_at,
    may_reopen,
    reopened,
    resolved,
    seen,
)
from signals.domain.incidents.watch import Watch

NEW_MULTIPLE: Final = 2  # times the threshold from which a series without history is worth telling (guess)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Input of one series' evaluations of an hour. `whole` is the denominator of a rate rule.

    `project_since` is the minute from which events are counted for the rule: the first one of the project,
    or a later one from which a rule that people wrote has counted. `since` is the first of the series.
    `is_disordered`: minutes of it came out of order, and some may be missing.
    """

    counts: MinuteCounts
    context: HourContext | None
    project_since: int
    since: int
    whole: MinuteCounts | None = None
    is_disordered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackState:
    """A series' state between two minutes. `last` is its newest resolved incident."""

    seasonal: SeasonalState
    episode: Episode | None = None
    last: Episode | None = None
    fired: tuple[int, ...] = ()


def step(
    watch: Watch, evidence: Evidence, state: TrackState, minute: int, *, last_event: int
) -> tuple[TrackState, tuple[Episode, ...]]:
    """Judge `minute`, which is over or grows; return the state and the incidents resolved by it.

    `last_event` is the newest minute with an event, at most `minute`.
    """
    closed: tuple[Episode, ...] = ()
    if state.episode is not None and (ended := _ended(evidence, state.episode, minute, last_event)):
        state, closed = _settled(state, ended), (ended,)
        if ended.reason == "became_usual":
            return state, closed  # the context still holds the former normal: judge from the next minute on
    state = _sustained(watch, evidence, state, minute)
    if watch.fixed is not None:
        state, more = _judge_fixed(watch, evidence, state, minute, last_event)
        closed += more
    if watch.seasonal is not None and evidence.context is not None and minute >= evidence.since + KNOWN_AFTER:
        state, more = _judge_seasonal(watch, evidence, state, minute)
        closed += more
    return state, closed


def judge_late(
    watch: Watch, evidence: Evidence, state: TrackState, minute: int
) -> tuple[TrackState, tuple[Episode, ...]]:
    """Judge a minute with events out of order, late or early: by the fixed rule alone.

    A drop is judged in order only: late events never make one.
    """
    if not isinstance(watch.fixed, FloorRatio):
        return state, ()
    return _judge_fixed(watch, evidence, state, minute, minute)


def resolved_by_hand(state: TrackState, minute: int) -> TrackState:
    """Return the state after a person resolved the open incident."""
    assert state.episode is not None
    return _settled(state, resolved(state.episode, minute, "by_hand"))


def verdict_at(watch: Watch, evidence: Evidence, state: TrackState, minute: int) -> RuleVerdict | None:
    """Return the numbers at `minute` of the rule that opened the incident: it fires, or merely lasts.

    Where the seasonal rule opened it and cannot judge, they are the fixed rule's.
    """
    episode = state.episode
    if episode is None:
        return None
    is_of_fixed = watch.fixed is not None and episode.rule == watch.fixed.name
    if is_of_fixed or watch.seasonal is None or evidence.context is None:
        return _fixed_verdict(watch, evidence, minute, minute)
    windows = watch.seasonal.windows
    window = next((one for one in windows if one.length == episode.opened.length), windows[0])
    finding = seasonal.measure(
        watch.seasonal, window, evidence.context, evidence.counts, minute, state.seasonal
    )
    return verdict_of(watch.seasonal, finding, minute)


def nearest_seasonal(
    watch: Watch, evidence: Evidence, state: SeasonalState, minute: int
) -> RuleVerdict | None:
    """Return the seasonal verdict of the window nearest to firing; None while the rule cannot judge."""
    if watch.seasonal is None or evidence.context is None or minute < evidence.since + KNOWN_AFTER:
        return None
    rule, context, counts = watch.seasonal, evidence.context, evidence.counts
    verdicts = (
        verdict_of(rule, seasonal.measure(rule, window, context, counts, minute, state), minute)
        for window in rule.windows
    )
    return min(verdicts, key=lambda verdict: verdict.shortfall)


def _ended(evidence: Evidence, episode: Episode, minute: int, last_event: int) -> Episode | None:
    if minute >= due_at(episode):
        return resolved(episode, minute, "quiet")
    if minute - max(last_event, episode.opened_at) >= GONE_AFTER:
        return resolved(episode, minute, "gone")
    if minute - episode.last_fired >= USUAL_AFTER and _is_level(evidence):
        return resolved(episode, minute, "became_usual")
    return None


def _is_level(evidence: Evidence) -> bool:
    """Say whether this can be the new normal: nothing never is, and a day off or a launch is over soon."""
    if evidence.context is None:
        return True
    if evidence.context.is_free:
        return False
    rows = evidence.context.hours
    return sum(row.value for row in rows) >= NOT_A_LEVEL * sum(row.expected for row in rows)


def _settled(state: TrackState, ended: Episode) -> TrackState:
    """Forget the outage's minutes; after `became_usual`, let the history begin at its opening."""
    history = state.seasonal
    if ended.is_confirmed and ended.reason == "became_usual":
        history = SeasonalState(since=ended.opened_at, peaks=history.peaks, noise=history.noise)
    elif ended.is_confirmed:
        history = replace(history, dirty_until=ended.last_seen + 1)
    return replace(state, seasonal=history, episode=None, last=ended)


def _sustained(watch: Watch, evidence: Evidence, state: TrackState, minute: int) -> TrackState:
    episode = state.episode
    if episode is None:
        return state
    lasts = False
    if isinstance(watch.fixed, FloorRatio) and episode.rule == watch.fixed.name:
        has_event = evidence.counts.between(minute, minute + 1) > 0
        lasts = has_event and fixed_rules.floor_ratio_sustains(
            watch.fixed, evidence.counts, minute, episode.opened.normal
        )
    elif isinstance(watch.fixed, Drop) and episode.rule == watch.fixed.name:
        lasts = fixed_rules.drop_sustains(watch.fixed, evidence.counts, minute, episode.opened.normal)
    if not lasts and watch.seasonal and episode.frozen and evidence.context:
        lasts = lasting.sustains(watch.seasonal, evidence.context, evidence.counts, minute, episode.frozen)
    return replace(state, episode=seen(episode, minute, fires=False)) if lasts else state


def _judge_fixed(
    watch: Watch, evidence: Evidence, state: TrackState, minute: int, last_event: int
) -> tuple[TrackState, tuple[Episode, ...]]:
    rule = watch.fixed
    if isinstance(rule, FloorRatio | Drop) and fixed_rules.surely_not(rule, evidence.counts, minute):
        return state, ()
    verdict = _fixed_verdict(watch, evidence, minute, last_event, _not_before(state))
    if rule is None or verdict is None or not verdict.fires:
        return state, ()
    fired = (*(at for at in state.fired if at > minute - rule.hold.of and at != minute), minute)
    state = replace(state, fired=fired)
    if len(fired) < rule.hold.fires:
        return state, ()
    says, is_new = _incident_verdict(watch, evidence, state, verdict)
    episode = state.episode
    if episode is not None:
        state = replace(state, episode=seen(episode, minute, fires=True))
        return _confirm(state, verdict, None) if says == "confirmed" else (state, ())
    return _open(state, verdict, says, None, is_new=is_new), ()


def _fixed_verdict(
    watch: Watch, evidence: Evidence, minute: int, last_event: int, not_before: int = 0
) -> RuleVerdict | None:
    """Return the fixed rule's numbers; of the minutes before `not_before` only a baseline may know.

    A fall and a silence need a whole window after it: what is missing before says nothing of afterwards.
    """
    counts, whole = evidence.counts, evidence.whole
    match watch.fixed:
        case FloorRatio() as rule:
            return fixed_rules.floor_ratio(rule, counts, minute, not_before) if last_event == minute else None
        case Drop() as rule:
            is_whole = minute + 1 - rule.window >= not_before
            return fixed_rules.drop(rule, counts, minute) if is_whole else None
        case Rate() as rule:
            return fixed_rules.rate(rule, counts, whole, minute, not_before) if whole else None
        case Absence() as rule:
            return fixed_rules.absence(rule, max(last_event, not_before - 1), minute)
        case NewSeries() as rule:
            return fixed_rules.new_series(rule, counts, evidence.since, minute, not_before)
    return None


def _incident_verdict(
    watch: Watch, evidence: Evidence, state: TrackState, verdict: RuleVerdict
) -> tuple[IncidentVerdict, bool]:
    """Return what a fixed rule's firing is worth, and whether the series is new.

    Nothing is confirmed before the rule has counted for as long as its kind must, nor in a series that is
    counted out of order. Else a rule that people wrote is confirmed. Rules A and B are when beyond doubt;
    otherwise the seasonal rule decides. A rise is beyond doubt only in a series whose last days had no peaks:
    in a bursty one, ten times the threshold is usual.
    """
    # Missing minutes count as zero. That exaggerates a rise, and hides a drop; other kinds need no history.
    is_new = isinstance(watch.fixed, FloorRatio | NewSeries) and verdict.minute < evidence.since + KNOWN_AFTER
    if verdict.minute < evidence.project_since + watch.rule.learning_minutes:
        return "learning", is_new
    if evidence.is_disordered and isinstance(watch.fixed, FloorRatio | Drop | NewSeries):
        return "unconfirmed", is_new  # the minutes before it may still be missing
    is_bursty = isinstance(watch.fixed, FloorRatio) and state.seasonal.noise_peak(verdict.minute) > 0
    if (verdict.is_critical and not is_bursty) or not watch.rule.locked:
        return "confirmed", is_new
    if is_new and verdict.count >= NEW_MULTIPLE * verdict.threshold:
        return "confirmed", is_new
    return "unconfirmed", is_new


def _judge_seasonal(
    watch: Watch, evidence: Evidence, state: TrackState, minute: int
) -> tuple[TrackState, tuple[Episode, ...]]:
    if (state.episode is not None and state.episode.frozen) or not (watch.seasonal and evidence.context):
        return state, ()  # the outage itself teaches no noise
    finding = seasonal.evaluate(
        watch.seasonal,
        evidence.context,
        evidence.counts,
        minute,
        state.seasonal,
        not_before=_not_before(state),
    )
    if finding is None:
        return state, ()
    if not evidence.context.is_free:
        # Outages must not raise the bar without limit: a firing teaches no more than the bar itself.
        peak = finding.need_z if finding.fires else finding.z
        state = replace(state, seasonal=state.seasonal.with_peak(minute, peak))
    if not finding.fires:
        return state, ()
    verdict = verdict_of(watch.seasonal, finding, minute)
    frozen = Frozen(level=finding.level, need_z=finding.need_z)
    if state.episode is not None:
        return _confirm(state, verdict, frozen)
    if watch.seasonal.opens == "verdict":
        return state, ()
    return _open(_dirty(state, finding, minute), verdict, "confirmed", frozen, is_new=False), ()


def _not_before(state: TrackState) -> int:
    """Return the minute after the one at which a person called the last incident over; 0 without one.

    The counts until then were known to that person: they must not fire again.
    """
    last = state.last
    if last is None or last.reason != "by_hand" or last.resolved_at is None:
        return 0
    return last.resolved_at + 1


def _dirty(state: TrackState, finding: Finding, minute: int) -> TrackState:
    start = minute - finding.window.length + 1
    return replace(state, seasonal=replace(state.seasonal, dirty_from=start, dirty_until=NEVER))


def _open(
    state: TrackState, verdict: RuleVerdict, says: IncidentVerdict, frozen: Frozen | None, *, is_new: bool
) -> TrackState:
    minute = verdict.minute
    if says == "confirmed" and frozen is None:
        start = minute - verdict.length + 1
        state = replace(state, seasonal=replace(state.seasonal, dirty_from=start, dirty_until=NEVER))
    if may_reopen(state.last, minute, says) and state.last is not None:
        return replace(state, episode=reopened(state.last, minute, frozen), last=None)
    episode = Episode(
        rule=verdict.rule,
        opened=verdict,
        opened_at=minute,
        last_seen=minute,
        last_fired=minute,
        verdict=says,
        is_new=is_new,
        frozen=frozen,
    )
    if says == "confirmed":
        episode = confirmed(episode, verdict, frozen)
    return replace(state, episode=episode)


def _confirm(
    state: TrackState, verdict: RuleVerdict, frozen: Frozen | None
) -> tuple[TrackState, tuple[Episode, ...]]:
    """Confirm the open incident when it has just begun, else let a new one take its place."""
    episode, minute = state.episode, verdict.minute
    assert episode is not None
    if episode.is_confirmed:
        return replace(state, episode=replace(episode, frozen=episode.frozen or frozen)), ()
    start = minute - verdict.length + 1
    state = replace(state, seasonal=replace(state.seasonal, dirty_from=start, dirty_until=NEVER))
    if minute <= episode.opened_at + CONFIRM_WITHIN:
        return replace(state, episode=confirmed(episode, verdict, frozen)), ()
    ended = resolved(episode, minute, "superseded")
    state = replace(state, episode=None, last=None)
    return _open(state, verdict, "confirmed", frozen, is_new=False), (ended,)
