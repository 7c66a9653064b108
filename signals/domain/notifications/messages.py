"""The content of a notice, before it is written for one kind of destination.

All text of events is hostile: it is cleaned here, once, and each kind escapes it in its own way.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2s
from typing import Final, Literal
from uuid import UUID

from signals.domain.summary.redaction import Redactor
from signals.domain.summary.wording import in_words

Happening = Literal["opened", "worse", "reopened", "woken", "resolved", "updated", "test"]
"""Why a message is sent. All but `updated` ring; `updated` only edits what was told."""

MAX_TITLE: Final = 200  # guess: what phones and mail lists show of a line is shorter
MAX_LINE: Final = 400
SHOWN_CAUSES: Final = 2  # guess: a third is seldom right, and phones show few lines
MAX_LISTED: Final = 10  # guess: of a storm; more is read in the list of incidents

WORDS: Final = {
    "opened": "opened",
    "worse": "became worse",
    "reopened": "opened again",
    "woken": "no longer snoozed",
    "resolved": "resolved",
    "updated": "updated",
    "test": "test",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldIncident:
    """An incident as a message shows it; `numbers` is why it fired, `impact` and `causes` the summary's."""

    id: UUID
    project_id: str
    environment: str
    fingerprint: str
    status: str
    severity: str
    title: str
    opened_at: datetime
    resolved_at: datetime | None = None
    numbers: str | None = None
    impact: str | None = None
    causes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageHead:
    """The head of a message: its row, the version to be told, when, and its former reference.

    `sends` is how many versions were told before this one.
    `subject_id` is what programs sort by, in every version; None: the only incident, else the notice.
    """

    notice_id: UUID
    version: int
    at: datetime
    subject_id: UUID | None = None
    link_url: str = ""
    reference: str | None = None
    sends: int = 0

    def joined(self, outage_id: UUID) -> str:
        """Return the outage that the incidents moved to; empty: it is the one that the message began with."""
        return "" if self.subject_id in (None, self.notice_id, outage_id) else str(outage_id)

    def link(self, path: str) -> str | None:
        """Return the address of a page, None when the operator has named none."""
        return f"{self.link_url.rstrip('/')}{path}" if self.link_url else None


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeMessage:
    """One version of one message. `reference` is what the destination called the first version.

    `version` grows with each change, `sends` with each version that was told.
    """

    notice_id: UUID
    version: int
    happening: Happening
    subject_id: UUID
    title: str
    severity: str
    status: str
    lines: tuple[str, ...]
    at: datetime
    link: str | None = None
    reference: str | None = None
    outage_id: UUID | None = None
    incidents: tuple[ToldIncident, ...] = field(default=())
    sends: int = 0

    @property
    def key(self) -> str:
        """The idempotency key, the same for every attempt to say this.

        A process may die while it sends, and a summary may come before the next attempt: the version is
        another one then, and the receiver was told all the same. What would ring again gets a key of its own,
        and so does each version of an update, of an end and of a return: it may take back the one before.
        """
        last = self.severity if self.happening in ("opened", "worse", "woken") else self.version
        return f"{self.notice_id}.{self.sends}.{self.happening}.{last}"

    @property
    def text(self) -> str:
        """The whole message as plain lines."""
        link = (f"More: {self.link}",) if self.link else ()
        return "\n".join((self.title, *self.lines, *link))


def clean(text: str, limit: int = MAX_LINE) -> str:
    """Return one line without control characters, secrets and personal data, cut at `limit` characters."""
    return one_line(Redactor().text(text), limit)


def one_line(text: str, limit: int = MAX_LINE) -> str:
    """Return one line without control characters, cut at `limit` characters: for words of our own people."""
    shown = "".join(character if character.isprintable() else " " for character in text)
    line = " ".join(shown.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def compose(
    incident: ToldIncident,
    happening: Happening,
    head: MessageHead,
    *,
    outage_id: UUID | None = None,
    work: str | None = None,
) -> NoticeMessage:
    """Write the message about one incident: an outage of one. `work` says who works on it."""
    place = f"{clean(incident.project_id, 64)} {clean(incident.environment, 16)}"
    title = clean(f"[{incident.severity}] {place}: {incident.title}", MAX_TITLE)
    lines = [first_line(happening, incident.status, incident.opened_at, incident.resolved_at)]
    lines += joined_line(head, outage_id)
    if work:
        lines.append(work)
    if incident.numbers:
        lines.append(clean(incident.numbers))
    if incident.impact:
        lines.append(clean(in_words(incident.impact)))
    lines += [f"Likely cause: {clean(cause)}" for cause in incident.causes[:SHOWN_CAUSES]]
    lines.append(f"signals incidents show {incident.id}")
    return NoticeMessage(
        notice_id=head.notice_id,
        version=head.version,
        sends=head.sends,
        happening=happening,
        subject_id=head.subject_id or incident.id,
        title=title,
        severity=incident.severity,
        status=incident.status,
        lines=tuple(lines),
        at=head.at,
        link=head.link(f"/v1/incidents/{incident.id}"),
        reference=head.reference,
        outage_id=outage_id,
        incidents=(incident,),
    )


def summary_mark(incident: ToldIncident) -> str:
    """Return a mark that differs where the summary's part of a message does; empty without a summary."""
    said = (incident.impact or "", *incident.causes[:SHOWN_CAUSES])
    return blake2s("\n".join(said).encode(), digest_size=8).hexdigest() if any(said) else ""


def first_line(happening: Happening, status: str, opened_at: datetime, resolved_at: datetime | None) -> str:
    """Say how it stands, and since when."""
    if resolved_at is not None:
        return f"resolved: was open {_instant(opened_at)} to {_instant(resolved_at)}"
    state = "" if happening in ("opened", "updated") else f"{WORDS[happening]}, "
    return f"{state}{status} since {_instant(opened_at)}"


def joined_line(head: MessageHead, outage_id: UUID | None) -> list[str]:
    """Say that the incidents of a message belong to another outage now; no line when they do not."""
    joined = head.joined(outage_id) if outage_id else ""
    return [f"now part of another outage: signals outages show {joined}"] if joined else []


def listed(incidents: Sequence[ToldIncident], more: str) -> list[str]:
    """Return a line for each of the first incidents; `more` is the command that shows the rest."""
    lines = [
        f"{one.severity}, {one.status}, {clean(one.environment, 16)}: {clean(one.title, MAX_TITLE)}"
        for one in incidents[:MAX_LISTED]
    ]
    if len(incidents) > MAX_LISTED:
        lines.append(f"and {len(incidents) - MAX_LISTED} more: {more}")
    return lines


def compose_storm(incidents: tuple[ToldIncident, ...], head: MessageHead, *, is_first: bool) -> NoticeMessage:
    """Write the one message that stands for many outages; the caller has sorted incidents, worst first."""
    unresolved = [one for one in incidents if one.status != "resolved"]
    worst = (unresolved or list(incidents))[0]
    status = "open" if unresolved else "resolved"
    title = f"[{worst.severity}] {clean(worst.project_id, 64)}: {len(incidents)} further incidents at once"
    lines = [f"{len(unresolved)} of them not resolved", *listed(incidents, "signals incidents list")]
    happening: Happening = "opened" if is_first else "updated" if unresolved else "resolved"
    return NoticeMessage(
        notice_id=head.notice_id,
        version=head.version,
        sends=head.sends,
        happening=happening,
        subject_id=head.notice_id,
        title=title,
        severity=worst.severity,
        status=status,
        lines=tuple(lines),
        at=head.at,
        reference=head.reference,
        incidents=incidents,
    )


def compose_test(name: str, *, notice_id: UUID, at: datetime) -> NoticeMessage:
    """Write the message of a test: marked as one, about no incident."""
    return NoticeMessage(
        notice_id=notice_id,
        version=1,
        happening="test",
        subject_id=notice_id,
        title=f"[test] This is a test of the destination {clean(name, 64)}",
        severity="warn",
        status="resolved",
        lines=("If you can read this, notifications arrive here. No incident is open because of it.",),
        at=at,
    )


def _instant(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
