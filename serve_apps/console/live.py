"""The stream that tells an open page to read itself again: numbered changes, and a beat."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from serve_apps.console.cookies import session_token
from serve_apps.console.live_feed import PageStream
from serve_apps.console.pages import ConsolePage, Visit
from serve_apps.console.resources import ConsoleResources
from serve_apps.http.event_stream import BEAT, BEAT_S, server_event, stream_answer
from serve_apps.http.problems import NOT_STORED

LASTS_S: Final = (240.0, 300.0)  # guess: then the browser comes back, perhaps to another replica
RETRY: Final = b"retry: 1000\n\n"  # milliseconds until a browser comes back


class LiveStream(Response):
    """The stream of one page; when the replica has as many as it may, a 503 that lets the page poll."""

    def __init__(self, resources: ConsoleResources, request: Request, project_id: str, after: int) -> None:
        super().__init__(status_code=503, headers={**NOT_STORED, "Retry-After": "60"})
        self._resources = resources
        self._request = request
        self._project_id = project_id
        self._after = after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send changes until the browser leaves, the session ends, or the stream is old."""
        feed = self._resources.live_feed
        listener = None if scope["method"] == "HEAD" else feed.join(self._project_id, self._after)
        if listener is None:
            await super().__call__(scope, receive, send)
            return
        try:
            await stream_answer(self._events(listener))(scope, receive, send)
        finally:
            feed.leave(listener)

    async def _events(self, listener: PageStream) -> AsyncIterator[bytes]:
        ends_at = time.monotonic() + random.uniform(*LASTS_S)
        yield RETRY
        while time.monotonic() < ends_at:
            try:
                await asyncio.wait_for(listener.changed.wait(), BEAT_S)
            except TimeoutError:
                yield BEAT
            else:
                listener.changed.clear()
                yield server_event("changed", number=listener.after)
            if not await asyncio.to_thread(self._may_listen):
                return

    def _may_listen(self) -> bool:
        """Tell whether the session still opens the project; listening is no use of it."""
        person = self._resources.signing_in.person(session_token(self._request), is_use=False)
        access = person.project(self._project_id) if person else None
        return access is not None and access.role.may("read")


def listen(resources: ConsoleResources, visit: Visit) -> Response:
    """Open the stream behind the change that the page shows, or that the browser had last."""
    given = (visit.query("after"), visit.request.headers.get("last-event-id", ""))
    numbers = [int(text) for text in given if text.isascii() and text.isdigit() and len(text) < 19]
    return LiveStream(resources, visit.request, visit.where.project_id, max(numbers, default=0))


PAGES: Final = (
    ConsolePage(
        method="GET", path="/console/p/{project_id}/live", right="read", handler=listen, is_use=False
    ),
)
