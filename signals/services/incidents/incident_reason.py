"""Says why an incident fired: its rule, its numbers and its verdict."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared_types import RuleFingerprint, read_fingerprint
from signals.domain.detection.verdict import RuleCondition
from signals.domain.incidents.episode import IncidentVerdict, ResolveReason
from signals.domain.incidents.lifecycle import IncidentKind
from signals.store.incidents.incident_context import Reason, State


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentReason:
    """Why an incident fired, and the numbers it showed last; counts are of `window_minutes`.

    `normal` is the usual count, frozen at the opening; None when the series had no history (`kind` is `new`,
    and its normal is known from `known_from` on), and for a rule that compares with a bound. `grouping` is
    the version of the fingerprints.
    `resolve_reason` is None while unresolved, and for what an earlier release resolved. Of the verdict,
    `conditions` say what the rule that decided it had and needed; an incident of an earlier release has none.
    """

    rule: str
    rule_version: int
    window_minutes: int
    kind: IncidentKind
    verdict: IncidentVerdict | None
    normal: float | None
    known_from: datetime | None
    grouping: int
    resolve_reason: ResolveReason | None
    confirmed_at: datetime | None
    decided_by: str | None
    conditions: list[RuleCondition]
    reopened: int
    opened: Reason
    latest: Reason


def explain(reasons: Sequence[Reason], state: State, fingerprint: str) -> IncidentReason | None:
    """Say why an incident fired, None when an earlier release kept no numbers."""
    named = read_fingerprint(fingerprint)
    is_bound = isinstance(named, RuleFingerprint) and not named.has_normal
    by_moment = {reason.moment: reason for reason in reasons}
    opened = by_moment.get("opened")
    if opened is None:
        return None
    return IncidentReason(
        rule=opened.rule,
        rule_version=state.rule_version or 1,
        window_minutes=opened.window_minutes,
        kind=state.kind,
        verdict=state.verdict,
        normal=None if state.kind == "new" or is_bound else opened.baseline,
        known_from=state.known_from,
        grouping=state.grouping,
        resolve_reason=state.resolve_reason,
        confirmed_at=state.confirmed_at,
        decided_by=state.numbers.rule if state.numbers else None,
        conditions=list(state.numbers.conditions) if state.numbers else [],
        reopened=state.reopened,
        opened=opened,
        latest=by_moment.get("latest", opened),
    )
