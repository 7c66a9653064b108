"""Words a leased message: compares what it said last with its incidents as they are now."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from signals.domain.detection.severity import IncidentSeverity
from signals.domain.notifications.facts import HeldNotice, NoticeSubject
from signals.domain.notifications.messages import (
    MessageHead,
    NoticeMessage,
    compose_storm,
    summary_mark,
)
from signals.domain.notifications.outage_messages import (
    ToldOutage,
    compose_outage,
    outage_status,
    rank,
    title_of_outage,
)
from signals.domain.notifications.telling import (
    ToldState,
    assumed,
    happening,
    is_muted,
    storm_happening,
    worst_first,
)


def word(
    held: HeldNotice, kind: str, told: Sequence[NoticeSubject], *, link_url: str, at: datetime
) -> tuple[ToldState | None, NoticeMessage | None]:
    """Return the state that the message tells then, and the message; None when there is nothing to say."""
    if not told:
        return None, None
    before, tried = held.told, held.tried
    head = MessageHead(
        notice_id=held.id,
        version=held.wanted,
        at=at,
        subject_id=held.subject_id,
        link_url=link_url,
        reference=held.reference,
        sends=held.sends,
    )
    if held.is_storm:
        state = worst_first([_state_of([one]) for one in told])
        if held.is_rescued and tried is None:
            tried = assumed(before, state)
        if storm_happening(before, state, tried=tried) is None:
            return state, None
        in_order = sorted((one.told for one in told), key=rank)
        return state, compose_storm(tuple(in_order), head, is_first=before is None)
    state = replace(_state_of(told), joined=head.joined(_outage_of(told).id))
    if held.is_rescued and tried is None:
        tried = assumed(before, state)
    if before is None and tried is None and state.status == "resolved" and held.is_held:
        return None, None  # it began and ended in maintenance
    what = happening(before, state, kind, tried=tried)
    if what is None:
        return before if is_muted(before, state) else state, None
    return state, compose_outage(_outage_of(told), [one.told for one in told], what, head)


def _state_of(subjects: Sequence[NoticeSubject]) -> ToldState:
    """Return the state of an outage's incidents; the summary is that of the first one."""
    told = [one.told for one in subjects]
    unresolved = [one for one in told if one.status != "resolved"]
    worst = max(unresolved or told, key=lambda one: IncidentSeverity.parse(one.severity))
    first = min(subjects, key=lambda one: (one.told.opened_at, one.told.id))
    outage = _outage_of(subjects)
    return ToldState(
        status=outage_status(told),
        severity=worst.severity,
        title=title_of_outage(outage, told),
        has_summary=first.has_summary,
        count=len(told),
        assignee=outage.assignee,
        is_snoozed=outage.is_snoozed(worst.severity),
        has_findings=first.has_findings,
        summary=summary_mark(first.told),
    )


def _outage_of(subjects: Sequence[NoticeSubject]) -> ToldOutage:
    """Return the outage that most of a message's incidents are in: they may just be moving."""
    counts = Counter(one.outage.id for one in subjects)
    return max((one.outage for one in subjects), key=lambda outage: (counts[outage.id], outage.id))
