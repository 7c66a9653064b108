"""Which maintenance window holds the messages of an incident, and until when."""

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol
from uuid import UUID

from signals.domain.notifications.routing import Subject, fits


class Window(Protocol):
    """A maintenance window; `environment` and `fingerprint` (a pattern) None: every one."""

    @property
    def id(self) -> UUID:
        """Its id."""

    @property
    def environment(self) -> str | None:
        """The environment, None for every one."""

    @property
    def fingerprint(self) -> str | None:
        """A pattern with * and ?, None for every one."""

    @property
    def starts_at(self) -> datetime:
        """When it begins."""

    @property
    def ends_at(self) -> datetime:
        """When it ends."""


def hold(windows: Iterable[Window], subject: Subject, now: datetime) -> tuple[datetime, UUID] | None:
    """Return until when messages wait, and for which window: the last to end of those that match."""
    matching = [
        (window.ends_at, window.id)
        for window in windows
        if window.starts_at <= now < window.ends_at
        and window.environment in (None, subject.environment)
        and (window.fingerprint is None or fits(window.fingerprint, subject.fingerprints))
    ]
    return max(matching, default=None)
