"""Until when an outage is silent."""

from datetime import datetime


def silent_until(snoozed_until: datetime | None, now: datetime) -> datetime | None:
    """Return the end of a snooze that still lasts; one that is over has not been cleared away yet."""
    return snoozed_until if snoozed_until is not None and snoozed_until > now else None
