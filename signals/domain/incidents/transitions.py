"""The transitions of a series' incident, as values: it opens, comes back, is confirmed, ends.

The state diagram: docs/concepts/incidents.md. What the rules say is judged in `tracking`.
"""

from enum import StrEnum

import msgspec
from msgspec.structs import replace

from signals.domain.detection.seasonal import Frozen
from signals.domain.detection.seasonal_state import NEVER, SeasonalState
from signals.domain.detection.verdict import RuleVerdict
from signals.domain.incidents.episode import (
    CONFIRM_WITHIN,
    Episode,
    IncidentVerdict,
    confirmed,
    may_reopen,
    reopened,
    resolved,
)


class Transition(StrEnum):
    """A change of an incident at a minute."""

    OPENED = "opened"
    REOPENED = "reopened"
    CONFIRMED = "confirmed"
    ENDED = "ended"


class IncidentStep(msgspec.Struct, frozen=True):
    """One transition, with the incident after it."""

    transition: Transition
    episode: Episode


class TrackState(msgspec.Struct, frozen=True, kw_only=True):
    """A series' state between two minutes. `last` is its newest resolved incident."""

    seasonal: SeasonalState
    episode: Episode | None = None
    last: Episode | None = None
    fired: tuple[int, ...] = ()


class Tracked(msgspec.Struct, frozen=True):
    """A state after a minute, or a part of judging it, and the transitions on the way, in order."""

    state: TrackState
    steps: tuple[IncidentStep, ...] = ()

    @property
    def closed(self) -> tuple[Episode, ...]:
        """The incidents that ended."""
        return tuple(one.episode for one in self.steps if one.transition is Transition.ENDED)

    def then(self, after: "Tracked") -> "Tracked":
        """Return what came of this and, after it, of another part."""
        return Tracked(after.state, self.steps + after.steps) if self.steps else after


class Firing(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that fires, and its worth. `is_usual`: no more than the same hour of other days showed."""

    verdict: RuleVerdict
    says: IncidentVerdict
    frozen: Frozen | None = None
    is_new: bool = False
    is_usual: bool = False


def opened(state: TrackState, firing: Firing) -> Tracked:
    """Open an incident, or the last one again that the firing continues."""
    verdict, minute = firing.verdict, firing.verdict.minute
    if firing.says == "confirmed":
        state = _in_outage(state, verdict)
    if state.last is not None and may_reopen(state.last, minute, firing.says, is_usual=firing.is_usual):
        episode = reopened(state.last, minute, firing.frozen)
        step = IncidentStep(Transition.REOPENED, episode)
        return Tracked(replace(state, episode=episode, last=None), (step,))
    episode = Episode(
        rule=verdict.rule,
        opened=verdict,
        opened_at=minute,
        last_seen=minute,
        last_fired=minute,
        verdict=firing.says,
        is_new=firing.is_new,
        frozen=firing.frozen,
    )
    if firing.says == "confirmed":
        episode = confirmed(episode, verdict, firing.frozen)
    return Tracked(replace(state, episode=episode), (IncidentStep(Transition.OPENED, episode),))


def confirm(state: TrackState, firing: Firing) -> Tracked:
    """Confirm the open incident when it has just begun, else let a new one take its place."""
    episode, minute = state.episode, firing.verdict.minute
    assert episode is not None
    if episode.is_confirmed:
        return Tracked(replace(state, episode=replace(episode, frozen=episode.frozen or firing.frozen)))
    if minute > episode.opened_at + CONFIRM_WITHIN:
        return superseded(state, firing)
    episode = confirmed(episode, firing.verdict, firing.frozen)
    state = replace(_in_outage(state, firing.verdict), episode=episode)
    return Tracked(state, (IncidentStep(Transition.CONFIRMED, episode),))


def superseded(state: TrackState, firing: Firing) -> Tracked:
    """Let a confirmed incident take the place of the open one: people are notified again."""
    assert state.episode is not None
    ended = resolved(state.episode, firing.verdict.minute, "superseded")
    first = Tracked(replace(state, episode=None, last=None), (IncidentStep(Transition.ENDED, ended),))
    return first.then(opened(first.state, replace(firing, is_new=False)))


def ended(state: TrackState, episode: Episode, seasonal: SeasonalState) -> Tracked:
    """End the open incident as `episode` says, with what its minutes teach."""
    after = replace(state, seasonal=seasonal, episode=None, last=episode)
    return Tracked(after, (IncidentStep(Transition.ENDED, episode),))


def _in_outage(state: TrackState, verdict: RuleVerdict) -> TrackState:
    """Let the window's minutes and those to come teach nothing; nor do those before, while none may yet."""
    start, seasonal = verdict.minute - verdict.length + 1, state.seasonal
    if seasonal.dirty_until == NEVER:
        start = min(start, seasonal.dirty_from)
    return replace(state, seasonal=replace(seasonal, dirty_from=start, dirty_until=NEVER))
