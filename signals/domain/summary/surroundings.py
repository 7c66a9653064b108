"""Incidents around an incident: former ones like it and how they ended, and others of the same minutes."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

from shared_types import RuleFingerprint, read_fingerprint
from signals.domain.findings.quoting import quotable
from signals.domain.summary.exhibits import instant
from signals.domain.summary.redaction import Redactor

MAX_PAST: Final = 3  # shown; guess: older ones say less
MAX_CONCURRENT: Final = 5  # shown
CONCURRENT_WITHIN: Final = timedelta(minutes=10)  # before and after the opening: as long as an outage gathers
ENDINGS: Final = {
    "quiet": "ended by itself",
    "became_usual": "became the new normal",
    "rule_off": "ended when its rule was disabled or removed",
    "rule_changed": "ended when its rule was changed",
    "superseded": "was superseded",
    "gone": "ended when its series was gone",
    "by_hand": "was resolved by a person",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PastIncident:
    """A former incident of the same series, or with the same first cause; `cause` is what a person wrote."""

    incident_id: UUID
    alike: Literal["series", "cause"]
    opened_at: datetime
    resolved_at: datetime | None
    resolve_reason: str | None
    first_cause: str | None
    cause: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConcurrentIncident:
    """Another incident of the project that opened in the same minutes."""

    incident_id: UUID
    fingerprint: str
    severity: str
    opened_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RelatedIncidents:
    """Newest first; the totals count those that are not shown as well."""

    past: Sequence[PastIncident] = ()
    past_total: int = 0
    concurrent: Sequence[ConcurrentIncident] = ()
    concurrent_total: int = 0

    def to_json(self) -> dict[str, object]:
        """Return the value of `surroundings` in a stored summary."""
        return {
            "past": [_plain(asdict(one)) for one in self.past],
            "past_total": self.past_total,
            "concurrent": [_plain(asdict(one)) for one in self.concurrent],
            "concurrent_total": self.concurrent_total,
        }


def sentences_of(around: RelatedIncidents) -> Iterator[str]:
    """Say which former incidents were alike and how the newest ended, and what opened beside."""
    if around.past:
        yield _seen_before(around)
    if around.concurrent:
        yield _beside(around)


def _seen_before(around: RelatedIncidents) -> str:
    newest, total = around.past[0], around.past_total
    alike = "of this series" if newest.alike == "series" else "with the same first cause"
    began = f"{total} former incident{'s' if total > 1 else ''} {alike}; the newest opened"
    parts = [f"Seen before: {began} {instant(newest.opened_at)}"]
    if newest.resolved_at is not None:
        minutes = round((newest.resolved_at - newest.opened_at).total_seconds() / 60)
        how = ENDINGS.get(newest.resolve_reason or "", "was resolved")
        parts.append(f"and {how} after {minutes} minutes")
    said = next((quote for one in around.past if one.cause and (quote := _quoted(one.cause))), None)
    told = f"; a person wrote what it was: “{said}”" if said else ""
    return f"{' '.join(parts)}{told}."


def _beside(around: RelatedIncidents) -> str:
    total = around.concurrent_total
    names = [name for one in around.concurrent if (name := _subject(one.fingerprint)) is not None]
    more = f" and {total - len(names)} more" if total > len(names) and names else ""
    listed = f": {', '.join(names)}{more}" if names else ""
    minutes = int(CONCURRENT_WITHIN.total_seconds()) // 60
    which = "other incident" if total == 1 else "other incidents"
    return f"{total} {which} of the project opened within {minutes} minutes{listed}."


def _subject(fingerprint: str) -> str | None:
    parts = read_fingerprint(fingerprint)
    if isinstance(parts, RuleFingerprint):
        return f"rule {parts.rule}"
    if parts.error_code is None and parts.route is None:
        return f"{parts.metric_name.replace('_', ' ')} in {parts.environment}"
    return _quoted(f"{parts.error_code or 'errors'} on {parts.route or 'an unnamed route'}")


def _quoted(text: str) -> str | None:
    """Return a text that holds no instruction, no link, and nothing personal."""
    found = quotable(text, whole=True)
    return found if found is not None and Redactor().text(found) == found else None


def _plain(fields: dict[str, object]) -> dict[str, object]:
    return {
        name: value.isoformat()
        if isinstance(value, datetime)
        else str(value)
        if isinstance(value, UUID)
        else value
        for name, value in fields.items()
    }
