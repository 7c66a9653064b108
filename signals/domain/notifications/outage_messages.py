"""Writes the message about an outage: its title, how many incidents it has, and the first of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from signals.domain.detection.severity import IncidentSeverity
from signals.domain.incidents.outage_words import title_of
from signals.domain.incidents.outages import Value
from signals.domain.notifications.messages import (
    MAX_TITLE,
    SHOWN_CAUSES,
    Happening,
    MessageHead,
    NoticeMessage,
    ToldIncident,
    clean,
    compose,
    first_line,
    joined_line,
    listed,
    one_line,
)
from signals.domain.summary.wording import in_words


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldOutage:
    """An outage as messages show it; `cause` is None for a series alone, and until it is decided.

    `snoozed_severity` is that of its snooze, above which nothing is silent; None: it is not snoozed.
    """

    id: UUID
    cause: Value | None = None
    assignee: str | None = None
    snoozed_severity: str | None = None

    def is_snoozed(self, severity: str) -> bool:
        """Whether people asked for silence up to this severity."""
        until = self.snoozed_severity
        return until is not None and IncidentSeverity.parse(severity) <= IncidentSeverity.parse(until)

    def work(self, severity: str, status: str) -> str | None:
        """Say in a line who works on it and whether it is snoozed, None when neither; an end is not snoozed.

        An assignee may be a mail address: the team wrote it, no event did.
        """
        parts = [f"assigned to {one_line(self.assignee, 128)}"] if self.assignee else []
        parts += ["snoozed"] if status != "resolved" and self.is_snoozed(severity) else []
        return ", ".join(parts) or None


def title_of_outage(outage: ToldOutage, incidents: Sequence[ToldIncident]) -> str:
    """Return the title of what is told: that of the only series, else the cause; text of events."""
    first = min(incidents, key=lambda one: (one.opened_at, one.id))
    series = len({one.fingerprint for one in incidents})
    return title_of(outage.cause, series=series, first_title=first.title)


def compose_outage(
    outage: ToldOutage, incidents: Sequence[ToldIncident], happening: Happening, head: MessageHead
) -> NoticeMessage:
    """Write the message about an outage; of several incidents it lists unresolved and worst ones first."""
    if len(incidents) == 1:
        only = incidents[0]
        return compose(
            only, happening, head, outage_id=outage.id, work=outage.work(only.severity, only.status)
        )
    first = min(incidents, key=lambda one: (one.opened_at, one.id))
    unresolved = [one for one in incidents if one.status != "resolved"]
    worst = max(unresolved or incidents, key=lambda one: IncidentSeverity.parse(one.severity))
    status = outage_status(incidents)
    ends = [one.resolved_at for one in incidents if one.resolved_at is not None]
    resolved_at = max(ends, default=None) if not unresolved else None
    places = ", ".join(sorted({clean(one.environment, 16) for one in incidents}))
    told = clean(title_of_outage(outage, incidents), MAX_TITLE)
    lines = [
        first_line(happening, status, first.opened_at, resolved_at),
        f"{len(incidents)} incidents, {len(unresolved)} of them not resolved",
        *joined_line(head, outage.id),
    ]
    if (work := outage.work(worst.severity, status)) is not None:
        lines.append(work)
    if first.impact:
        lines.append(clean(in_words(first.impact)))
    lines += [f"Likely cause: {clean(cause)}" for cause in first.causes[:SHOWN_CAUSES]]
    lines += listed(sorted(incidents, key=rank), f"signals outages show {outage.id}")
    lines.append(f"signals outages show {outage.id}")
    return NoticeMessage(
        notice_id=head.notice_id,
        version=head.version,
        sends=head.sends,
        happening=happening,
        subject_id=head.subject_id or head.notice_id,
        title=clean(f"[{worst.severity}] {clean(first.project_id, 64)} {places}: {told}", MAX_TITLE),
        severity=worst.severity,
        status=status,
        lines=tuple(lines),
        at=head.at,
        link=head.link(f"/v1/outages/{outage.id}"),
        reference=head.reference,
        outage_id=outage.id,
        incidents=tuple(incidents),
    )


def outage_status(incidents: Sequence[ToldIncident]) -> str:
    """Return the status of what is told; one investigated incident is enough."""
    statuses = {one.status for one in incidents} - {"resolved"}
    if not statuses:
        return "resolved"
    return "investigating" if "investigating" in statuses else "open"


def rank(incident: ToldIncident) -> tuple[bool, int, float, UUID]:
    """Sort incidents for a list: unresolved before resolved, worst first, then oldest first."""
    severity = -int(IncidentSeverity.parse(incident.severity))
    return incident.status == "resolved", severity, incident.opened_at.timestamp(), incident.id
