"""The series of an incident: which events it counts as failing, and which ones it is compared with."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

FIRST_FAILING_STATUS: Final = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One event as it was received."""

    event_id: str
    at: datetime
    event_type: str
    message: str
    attributes: Mapping[str, object]

    @property
    def minute(self) -> int:
        """The event's minute since the epoch."""
        return int(self.at.timestamp()) // 60


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedSeries:
    """The fingerprint of the incident, without its environment; both None for a drop of signups."""

    is_drop: bool
    error_code: str | None = None
    route: str | None = None

    @property
    def words(self) -> tuple[str, ...]:
        """The fingerprint's own values."""
        return tuple(word for word in (self.error_code, self.route) if word)

    @property
    def fixed(self) -> frozenset[str]:
        """Names of labels that the fingerprint fixes: all failing events have the same values of them."""
        return frozenset(("route",) if self.is_drop else ("route", "error_code", "method"))

    def holds(self, event: Observed) -> bool:
        """Whether the event was counted for this incident."""
        if self.is_drop:
            return event.event_type == "signup"
        return (
            event.event_type == "error"
            and event.attributes.get("error_code") == self.error_code
            and event.attributes.get("route") == self.route
        )

    def is_on_route(self, event: Observed) -> bool:
        """Whether the event is an error of the same route, under any code."""
        same = self.route is None or event.attributes.get("route") == self.route
        return not self.is_drop and event.event_type == "error" and same

    def works(self, event: Observed) -> bool:
        """Whether the event is a request of the same route that worked."""
        status = event.attributes.get("status_code")
        failed = isinstance(status, int) and status >= FIRST_FAILING_STATUS
        same = self.route is None or event.attributes.get("route") == self.route
        return event.event_type == "http_request" and same and not failed
