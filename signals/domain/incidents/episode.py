"""The life of one incident: opened with frozen numbers, sustained, confirmed, resolved, reopened.

Minutes are whole minutes since the epoch. Source of the lifecycle: requirements R26 and R27;
of sustaining, reopening and verdicts: docs/concepts/detection.md.
"""

from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from signals.domain.detection.seasonal import Frozen
from signals.domain.detection.verdict import RuleVerdict

IncidentStatus = Literal["open", "investigating", "resolved"]
StatusWanted = Literal["open", "investigating", "resolved", "unresolved"]
"""What a list is asked for: a status, or all but `resolved`."""
IncidentVerdict = Literal["confirmed", "unconfirmed", "learning"]
VerdictWanted = Literal["confirmed", "unconfirmed", "learning", "confirmed_or_learning"]
"""What a list is asked for: a verdict, or all but `unconfirmed`."""
ResolveReason = Literal["quiet", "became_usual", "superseded", "gone", "by_hand", "rule_off", "rule_changed"]
"""Why an incident ended; the last three are people's doing, which no replay knows."""

IDLE_MINUTES: Final = 60  # resolved once not seen for more than 60 minutes (requirement R27)
RESOLVE_EVERY: Final = 5  # minutes between two passes of the resolver (requirement R27)
NOT_A_LEVEL: Final = 0.1  # share of the normal below which a lasting drop never becomes usual
USUAL_AFTER: Final = 24 * 60  # minutes without anything worse: what still lasts is the new normal
WORSE_AFTER: Final = 60  # minutes without growth, from which a sudden rise is another outage (guess)
WORSE: Final = 2.0  # times all that an incident showed until ten minutes ago: clearly worse (guess)
SHOWN_LAG: Final = 10  # minutes until what an incident shows is no part of a sudden rise any more
NEWS: Final = 1.25  # times what it showed: worse than chance makes the highest of many bursts (guess)
CONFIRM_WITHIN: Final = 15  # minutes after opening in which a confirmation belongs to this incident
REOPEN_WITHIN: Final = 60  # minutes after resolving in which a return is the same incident
REOPEN_BY_HAND: Final = 5  # minutes, when a person resolved it (decided)
GONE_AFTER: Final = 7 * 24 * 60  # minutes of silence after which a series has ended (guess: a week)


class Episode(msgspec.Struct, frozen=True, kw_only=True):
    """One incident. `opened` holds the numbers at opening, which nothing later changes.

    `confirmed_by` is the verdict that made it worth telling people, `frozen` the level at that moment.
    `is_new`: the series had no history, so nothing is known to be usual. A rise has shown `shown` events in
    five minutes until ten minutes ago, and was clearly worse than before at the minute `worse_at`.
    """

    rule: str
    opened: RuleVerdict
    opened_at: int
    last_seen: int
    last_fired: int
    verdict: IncidentVerdict
    is_new: bool = False
    confirmed_at: int | None = None
    confirmed_by: RuleVerdict | None = None
    frozen: Frozen | None = None
    reopened: int = 0
    resolved_at: int | None = None
    reason: ResolveReason | None = None
    shown: int = 0
    worse_at: int = 0

    @property
    def is_confirmed(self) -> bool:
        """Whether people are notified."""
        return self.verdict == "confirmed"


def due_at(episode: Episode) -> int:
    """Return the minute at which the resolver closes it, unless it is seen again."""
    return -(-(episode.last_seen + IDLE_MINUTES + 1) // RESOLVE_EVERY) * RESOLVE_EVERY


def seen(episode: Episode, minute: int, *, fires: bool) -> Episode:
    """Keep it fresh; a late minute never moves it back."""
    fired = max(episode.last_fired, minute) if fires else episode.last_fired
    return replace(episode, last_seen=max(episode.last_seen, minute), last_fired=fired)


def showing(episode: Episode, count: int, minute: int) -> Episode:
    """Note that the five minutes that ended ten minutes before `minute` had more events than all before."""
    is_worse = count >= NEWS * episode.shown
    return replace(episode, shown=count, worse_at=minute if is_worse else episode.worse_at)


def usual_at(episode: Episode, *, by_worse: bool) -> int:
    """Return the minute at which what still lasts is usual: of rises, a day after they were worse last.

    Other rules fire at each minute while they last: a day after they fired last.
    """
    return USUAL_AFTER + (worse_since(episode) if by_worse else episode.last_fired)


def worse_since(episode: Episode) -> int:
    """Return the minute since which it was not worse than it had been."""
    return max(episode.opened_at, episode.worse_at)


def resolved(episode: Episode, minute: int, reason: ResolveReason) -> Episode:
    """Close it."""
    return replace(episode, resolved_at=minute, reason=reason)


def confirmed(episode: Episode, by: RuleVerdict, frozen: Frozen | None) -> Episode:
    """Make it worth telling, with the numbers of the verdict that confirmed it."""
    return replace(
        episode, verdict="confirmed", confirmed_at=by.minute, confirmed_by=by, frozen=frozen or episode.frozen
    )


def may_reopen(
    last: Episode | None, minute: int, verdict: IncidentVerdict, *, is_usual: bool = False
) -> bool:
    """Say whether a firing at `minute` continues the series' last incident.

    A confirmed outage must not hide in a former unconfirmed incident, so that one never continues it. Nor
    does a firing that is usual for its hour continue a confirmed outage.
    """
    if last is None or last.resolved_at is None or last.reason not in ("quiet", "by_hand"):
        return False
    if last.is_confirmed and is_usual:
        return False
    if not last.is_confirmed and last.verdict != verdict:
        return False
    within = REOPEN_WITHIN if last.reason == "quiet" else REOPEN_BY_HAND
    return minute - last.resolved_at <= within


def reopened(last: Episode, minute: int, frozen: Frozen | None) -> Episode:
    """Open it again, counting how often."""
    return replace(
        last,
        last_seen=minute,
        last_fired=minute,
        frozen=frozen or last.frozen,
        reopened=last.reopened + 1,
        resolved_at=None,
        reason=None,
    )
