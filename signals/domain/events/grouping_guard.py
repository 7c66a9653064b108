"""Bounds how many groups of errors a key may open in an hour: one bad template must not fill every table.

Beyond the bound the route becomes `{many}`, and beyond twice the bound the error code as well; the payload
keeps both. The counts are those of one replica.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final
from uuid import UUID

from shared_types.grouping import MANY

MAX_GROUPS: Final = 500  # guess: of a key, replica and hour of the clock


class GroupingGuard:
    """The groups of the current hour by key; holds two numbers for each allowed group at most."""

    def __init__(self, most: int = MAX_GROUPS) -> None:
        self._most = most
        self._hour: datetime | None = None
        self._seen: dict[UUID, set[int]] = {}

    def bound(self, key_id: UUID, events: Iterable[object], now: datetime) -> None:
        """Change route and code of the events that would open too many groups."""
        hour = now.replace(minute=0, second=0, microsecond=0)
        if hour != self._hour:
            self._hour, self._seen = hour, {}
        seen = self._seen.setdefault(key_id, set())
        for event in events:
            if isinstance(event, dict) and event.get("event_type") == "error":
                self._bound(seen, event)

    def _bound(self, seen: set[int], event: dict[str, object]) -> None:
        attributes, payload = event.get("attributes"), event.get("payload")
        if not isinstance(attributes, dict) or not isinstance(payload, dict):
            return
        for name, most in (("route", self._most), ("error_code", 2 * self._most)):
            group = hash((event.get("environment"), attributes.get("error_code"), attributes.get("route")))
            if group in seen or len(seen) < most:
                seen.add(group)
                return
            if attributes.get(name) != MANY:
                payload[name] = attributes.get(name)
                attributes[name] = MANY
