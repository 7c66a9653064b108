"""One minute of one series: what the rules say, and what that does to its incident."""

from typing import Final

from msgspec.structs import replace

from signals.domain.detection import fixed_rules, lasting, seasonal
from signals.domain.detection.new_level import on_trial
from signals.domain.detection.repeats import PEAK_MINUTES
from signals.domain.detection.rule_types import (
    KNOWN_AFTER,
    Absence,
    Drop,
    FloorRatio,
    NewSeries,
    Rate,
    Seasonal,
)
from signals.domain.detection.seasonal import Finding, Frozen
from signals.domain.detection.seasonal_state import SeasonalState
from signals.domain.detection.seasonal_verdict import verdict_of
from signals.domain.detection.verdict import RuleVerdict
from signals.domain.incidents.episode import (
    GONE_AFTER,
    NOT_A_LEVEL,
    SHOWN_LAG,
    Episode,
    IncidentVerdict,
    due_at,
    resolved,
    seen,
    showing,
    usual_at,
)
from signals.domain.incidents.evidence import Evidence
from signals.domain.incidents.news import is_clearly_worse, is_usual_firing, is_usual_low
from signals.domain.incidents.transitions import (
    Firing,
    Tracked,
    TrackState,
    confirm,
    ended,
    opened,
    superseded,
)
from signals.domain.incidents.watch import Watch

NEW_MULTIPLE: Final = 2  # times the threshold from which a series without history is worth telling (guess)


def step(watch: Watch, evidence: Evidence, state: TrackState, minute: int, *, last_event: int) -> Tracked:
    """Judge `minute`, which is over or grows; return the state after it and what happened.

    `last_event` is the newest minute with an event, at most `minute`.
    """
    out = Tracked(state)
    if state.episode is not None and (over := _ended(watch, evidence, state.episode, minute, last_event)):
        out = ended(state, over, _taught(watch, evidence, state.seasonal, over))
    if out.state.episode is not None:
        out = replace(out, state=_sustained(watch, evidence, out.state, minute))
    if watch.fixed is not None:
        out = out.then(_judge_fixed(watch, evidence, out.state, minute, last_event))
    if watch.seasonal is not None and evidence.context is not None and minute >= evidence.since + KNOWN_AFTER:
        out = out.then(_judge_seasonal(watch, evidence, out.state, minute))
    episode = out.state.episode
    if episode is not None and watch.is_of_rises:
        end = minute + 1 - SHOWN_LAG
        count = evidence.counts.between(end - PEAK_MINUTES, end)
        if count > episode.shown:
            out = replace(out, state=replace(out.state, episode=showing(episode, count, minute)))
    return out


def judge_late(watch: Watch, evidence: Evidence, state: TrackState, minute: int) -> Tracked:
    """Judge a minute with events out of order, late or early: by the fixed rule alone.

    A drop is judged in order only: late events never make one.
    """
    if not isinstance(watch.fixed, FloorRatio):
        return Tracked(state)
    return _judge_fixed(watch, evidence, state, minute, minute)


def resolved_by_hand(state: TrackState, minute: int) -> TrackState:
    """Return the state after a person resolved the open incident."""
    assert state.episode is not None
    over = resolved(state.episode, minute, "by_hand")
    return ended(state, over, _forgotten(state.seasonal, over)).state


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


def _ended(
    watch: Watch, evidence: Evidence, episode: Episode, minute: int, last_event: int
) -> Episode | None:
    if minute >= due_at(episode):
        return resolved(episode, minute, "quiet")
    if minute - max(last_event, episode.opened_at) >= GONE_AFTER:
        return resolved(episode, minute, "gone")
    if minute >= usual_at(episode, by_worse=watch.is_of_rises) and _is_level(evidence):
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


def _taught(watch: Watch, evidence: Evidence, seasonal: SeasonalState, over: Episode) -> SeasonalState:
    """Return the seasons after an incident: its minutes are forgotten, or its level is on trial."""
    rule, context = watch.seasonal, evidence.context
    if not over.is_confirmed or over.reason != "became_usual" or rule is None or context is None:
        return _forgotten(seasonal, over)
    return on_trial(rule, context, seasonal, since=over.opened_at, until=over.last_seen + 1)


def _forgotten(seasonal: SeasonalState, over: Episode) -> SeasonalState:
    """Let an outage's minutes teach nothing; while a level is on trial, those after it do not either."""
    if not over.is_confirmed or seasonal.moved is not None:
        return seasonal
    return replace(seasonal, dirty_until=over.last_seen + 1)


def _sustained(watch: Watch, evidence: Evidence, state: TrackState, minute: int) -> TrackState:
    episode = state.episode
    if episode is None:
        return state
    lasts = False
    if isinstance(watch.fixed, FloorRatio) and episode.rule == watch.fixed.name:
        has_event = evidence.counts.between(minute, minute + 1) > 0
        lasts = (
            has_event
            and fixed_rules.floor_ratio_sustains(watch.fixed, evidence.counts, minute, episode.opened.normal)
            and not (
                episode.is_confirmed and is_usual_firing(watch, evidence, state, minute, lasting.SUSTAIN_UP)
            )
        )
    elif isinstance(watch.fixed, Drop) and episode.rule == watch.fixed.name:
        lasts = fixed_rules.drop_sustains(
            watch.fixed, evidence.counts, minute, episode.opened.normal
        ) and not is_usual_low(watch, evidence, state, minute)
    if not lasts and watch.seasonal and episode.frozen and evidence.context:
        lasts = lasting.sustains(
            watch.seasonal, evidence.context, evidence.counts, minute, episode.frozen, state.seasonal
        )
    return replace(state, episode=seen(episode, minute, fires=False)) if lasts else state


def _judge_fixed(
    watch: Watch, evidence: Evidence, state: TrackState, minute: int, last_event: int
) -> Tracked:
    rule = watch.fixed
    if isinstance(rule, FloorRatio | Drop) and fixed_rules.surely_not(rule, evidence.counts, minute):
        return Tracked(state)
    verdict = _fixed_verdict(watch, evidence, minute, last_event, _not_before(state))
    if rule is None or verdict is None or not verdict.fires:
        return Tracked(state)
    fired = (*(at for at in state.fired if at > minute - rule.hold.of and at != minute), minute)
    state = replace(state, fired=fired)
    if len(fired) < rule.hold.fires:
        return Tracked(state)
    is_usual = is_usual_firing(watch, evidence, state, minute)
    says, is_new = _incident_verdict(watch, evidence, state, verdict, is_usual=is_usual)
    firing = Firing(verdict=verdict, says=says, is_new=is_new, is_usual=is_usual)
    episode = state.episode
    if episode is None:
        return opened(state, firing)
    if not (is_usual and episode.is_confirmed):  # bursts that are usual keep no outage open
        state = replace(state, episode=seen(episode, minute, fires=True))
    return confirm(state, firing) if says == "confirmed" else Tracked(state)


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
    watch: Watch, evidence: Evidence, state: TrackState, verdict: RuleVerdict, *, is_usual: bool
) -> tuple[IncidentVerdict, bool]:
    """Return what a fixed rule's firing is worth, and whether the series is new.

    Nothing is confirmed before the rule has counted for as long as its kind must, nor in a series that is
    counted out of order. Else a rule that people wrote is confirmed. Rules A and B are when beyond doubt;
    otherwise the seasonal rule decides. A rise is beyond doubt only in a series whose last days had no peaks:
    in a bursty one, ten times the threshold is usual. So is what the same hours of other days showed
    (`is_usual`).
    """
    # Missing minutes count as zero. That exaggerates a rise, and hides a drop; other kinds need no history.
    is_new = isinstance(watch.fixed, FloorRatio | NewSeries) and verdict.minute < evidence.since + KNOWN_AFTER
    if verdict.minute < evidence.project_since + watch.rule.learning_minutes:
        return "learning", is_new
    if evidence.is_disordered and isinstance(watch.fixed, FloorRatio | Drop | NewSeries):
        return "unconfirmed", is_new  # the minutes before it may still be missing
    is_bursty = isinstance(watch.fixed, FloorRatio) and state.seasonal.noise_peak(verdict.minute) > 0
    if (verdict.is_critical and not is_bursty and not is_usual) or not watch.rule.locked:
        return "confirmed", is_new
    if is_new and verdict.count >= NEW_MULTIPLE * verdict.threshold:
        return "confirmed", is_new
    return "unconfirmed", is_new


def _judge_seasonal(watch: Watch, evidence: Evidence, state: TrackState, minute: int) -> Tracked:
    if watch.seasonal is None or evidence.context is None:
        return Tracked(state)
    is_told = state.episode is not None and state.episode.frozen is not None
    if is_told and not is_clearly_worse(watch, evidence, state, minute):
        return Tracked(state)
    finding = seasonal.evaluate(
        watch.seasonal,
        evidence.context,
        evidence.counts,
        minute,
        state.seasonal,
        not_before=_not_before(state),
    )
    if finding is None:
        return Tracked(state)
    if not evidence.context.is_free and not is_told:  # the outage itself teaches no noise
        # Outages must not raise the bar without limit: a firing teaches no more than the bar itself.
        peak = finding.need_z if finding.fires else finding.z
        state = replace(state, seasonal=state.seasonal.with_peak(minute, peak))
    if not finding.fires:
        return Tracked(state)
    firing = _firing_of(watch.seasonal, finding, minute)
    if is_told:
        return superseded(state, firing)
    if state.episode is not None:
        return confirm(state, firing)
    return Tracked(state) if watch.seasonal.opens == "verdict" else opened(state, firing)


def _firing_of(rule: Seasonal, finding: Finding, minute: int) -> Firing:
    frozen = Frozen(level=finding.level, need_z=finding.need_z)
    return Firing(verdict=verdict_of(rule, finding, minute), says="confirmed", frozen=frozen)


def _not_before(state: TrackState) -> int:
    """Return the minute after the one at which a person called the last incident over; 0 without one.

    The counts until then were known to that person: they must not fire again.
    """
    last = state.last
    if last is None or last.reason != "by_hand" or last.resolved_at is None:
        return 0
    return last.resolved_at + 1
