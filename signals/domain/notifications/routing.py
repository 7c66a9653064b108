"""Which route tells a destination of an incident, and when its quiet hours end."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from fnmatch import fnmatchcase
from typing import Final, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from shared_types.fingerprints import ALL_ENVIRONMENTS
from signals.domain.detection.severity import IncidentSeverity

NoticeVerdict = Literal["confirmed", "unconfirmed", "learning"]
SeverityWord = Literal["warn", "error", "critical"]
HISTORY_HOURS: Final = 6  # without an event, after which nobody acts on what is found only now (guess)
DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietHours:
    """Hours of each day in which a route waits, unless the severity is at least `passes`.

    `begins` may be later than `ends`: then the hours pass midnight, and belong to the day they begin on.
    """

    zone: ZoneInfo
    begins: time
    ends: time
    days: frozenset[str] = frozenset(DAYS)
    passes: IncidentSeverity | None = IncidentSeverity.CRITICAL

    def end_of(self, now: datetime) -> datetime | None:
        """Return when the quiet hours that hold `now` end, None outside of them."""
        local = now.astimezone(self.zone)
        for day in (local.date() - timedelta(days=1), local.date()):
            if DAYS[day.weekday()] not in self.days:
                continue
            last_day = day + timedelta(days=1) if self.ends <= self.begins else day
            begin = datetime.combine(day, self.begins, self.zone)
            end = datetime.combine(last_day, self.ends, self.zone)
            # Compared as instants: on the days of a change of clocks, local times repeat or are missing.
            if begin.timestamp() <= now.timestamp() < end.timestamp():
                return end
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One rule of a project: incidents that match it are told to one destination."""

    id: UUID
    destination_id: UUID
    environments: frozenset[str] | None = None
    min_severity: IncidentSeverity = IncidentSeverity.WARN
    verdicts: frozenset[str] = frozenset({"confirmed"})
    fingerprint: str | None = None
    quiet: QuietHours | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The subject that routes are matched against: an incident, or the outage that it belongs to.

    `is_history`: it was over for hours when it was found, as in a backfill.
    """

    environment: str
    severity: IncidentSeverity
    verdict: str
    fingerprints: tuple[str, ...]
    is_history: bool = False


def mismatch(route: Route, subject: Subject) -> str | None:
    """Return why the route does not tell of the subject, None when it does."""
    if subject.is_history:
        return f"its newest event was more than {HISTORY_HOURS} hours old when it was found"
    known = route.environments
    if known is not None and subject.environment not in known and subject.environment != ALL_ENVIRONMENTS:
        return f"environment {subject.environment} is not one of {', '.join(sorted(known))}"
    if subject.severity < route.min_severity:
        return f"severity {subject.severity.label} is below {route.min_severity.label}"
    if subject.verdict not in route.verdicts:
        return f"verdict {subject.verdict} is not one of {', '.join(sorted(route.verdicts))}"
    pattern = route.fingerprint
    if pattern is not None and not fits(pattern, subject.fingerprints):
        return "no fingerprint fits the pattern"
    return None


def fits(pattern: str, fingerprints: Iterable[str]) -> bool:
    """Whether a pattern with * and ? fits one of the fingerprints; brackets are themselves, as in `/[id]`."""
    literal = pattern.replace("[", "[[]")
    return any(fnmatchcase(one, literal) for one in fingerprints)


def due(routes: Sequence[Route], subject: Subject, now: datetime) -> datetime | None:
    """Return when the routes to one destination tell of a subject: the earliest of those that match.

    None: no route matches. A route inside its quiet hours waits until their end.
    """
    times = [_due(route, subject, now) for route in routes if mismatch(route, subject) is None]
    return min(times, default=None)


def by_destination(routes: Iterable[Route]) -> dict[UUID, list[Route]]:
    """Return the routes by the destination that they tell."""
    found: dict[UUID, list[Route]] = {}
    for route in routes:
        found.setdefault(route.destination_id, []).append(route)
    return found


def _due(route: Route, subject: Subject, now: datetime) -> datetime:
    quiet = route.quiet
    if quiet is None or (quiet.passes is not None and subject.severity >= quiet.passes):
        return now
    return quiet.end_of(now) or now
