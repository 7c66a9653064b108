"""The open streams of a replica: one query serves the pages of every project."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

import structlog

from signals.errors import DependencyUnavailable
from signals.store.incidents.incident_changes import NewestChange

MOST_STREAMS: Final = 32  # of a replica, which serves 100 requests at once: pages never take half of them
EVERY_S: Final = 0.5  # seconds between two queries; guess: half of the second that people wait for

ReadNewest = Callable[[Collection[str]], Mapping[str, NewestChange]]

log = structlog.get_logger(__name__)


@dataclass(eq=False, slots=True, kw_only=True)
class PageStream:
    """One open stream: `after` is the number of the change that its page shows."""

    project_id: str
    after: int
    newest: NewestChange | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, found: NewestChange) -> None:
        """Wake the stream when the project has changed since its page was made."""
        is_new = found.number > self.after if self.newest is None else found != self.newest
        self.newest = found
        if is_new:
            self.after = max(self.after, found.number)
            self.changed.set()


class LiveFeed:
    """The streams of a replica; it asks for changes only while one is open. Used in the event loop alone.

    `read` returns the newest change of each of some projects; it may block.
    """

    def __init__(self, read: ReadNewest) -> None:
        self._read = read
        self._listeners: set[PageStream] = set()
        self._polling: asyncio.Task[None] | None = None

    def join(self, project_id: str, after: int) -> PageStream | None:
        """Let one more stream listen, None when there are as many as there may be."""
        if len(self._listeners) >= MOST_STREAMS:
            return None
        listener = PageStream(project_id=project_id, after=after)
        self._listeners.add(listener)
        if self._polling is None:
            self._polling = asyncio.create_task(self._poll())
        return listener

    def leave(self, listener: PageStream) -> None:
        """End a stream; the last one ends the queries."""
        self._listeners.discard(listener)
        if not self._listeners and self._polling is not None:
            self._polling.cancel()
            self._polling = None

    async def _poll(self) -> None:
        while True:
            try:
                found = await asyncio.to_thread(self._read, {one.project_id for one in self._listeners})
            except DependencyUnavailable as error:
                log.warning("live changes not read", reason=str(error))
                found = {}
            except Exception:  # the streams go on; their pages read again by themselves
                log.exception("live changes crashed")
                found = {}
            for listener in self._listeners:
                if newest := found.get(listener.project_id):
                    listener.take(newest)
            await asyncio.sleep(EVERY_S)
