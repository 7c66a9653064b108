"""The door for pages without an SDK: a script posts events in our own form, as text/plain or JSON.

It shares the paths of our own protocol: a request with an Origin header or with `?key=` is answered here.
`sendBeacon` can set no header, so the key stands in the query.
"""

from collections.abc import Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope as AsgiScope

from serve_apps.http.application import PathAnswers
from serve_apps.http.authorization import Authorizer
from serve_apps.http.endpoint import Answer, Answering, Call, Endpoint
from serve_apps.http.pages import cors, preflight
from serve_apps.http.problems import Problem, answer_to
from serve_apps.ingest.protocols.doors import Doors, foreign_body, receipt_of, unreadable
from serve_apps.ingest.protocols.native_answers import batch_answer
from shared_types import InvalidEvent
from signals.domain.access.principal import Principal
from signals.domain.access.scopes import RIGHT_TO_SEND, Right, Scope
from signals.domain.events.from_pages import read_page
from signals.errors import DependencyUnavailable
from signals.services.events.ingestion import MalformedEvent

DOOR: Final = "page"
PATHS: Final = ("/v1/events/batch", "/v1/events")


async def page_events(doors: Doors, call: Call[None]) -> Response:
    """Accept events of a page, each judged by itself."""
    request = call.request
    try:
        sender = await _public_sender(doors, request)
        receipt = receipt_of(sender)
        body = await foreign_body(request)
        read = await doors.reading.call(body, lambda: read_page(body, receipt))
        events = [_permitted(event, sender) for event in read]
        results = await doors.publish_events(DOOR, sender, events, receipt)
        response = batch_answer(request, results)
    except (InvalidEvent, Problem, DependencyUnavailable) as error:
        refusal = unreadable(error) if isinstance(error, InvalidEvent) else error
        doors.note_refusal(request, DOOR, refusal)
        response = answer_to(request, refusal)
    response.headers.update(cors(request))
    return response


async def _public_sender(doors: Doors, request: Request) -> Principal:
    sender = await doors.sender(request, DOOR)
    if Right.SEND_FROM_PAGES not in sender.rights:
        detail = f"Only a key of scope {Scope.PUBLIC} may stand in the query; send this one in a header."
        raise Problem(403, "wrong_scope", detail)
    return sender


async def page_preflight(_: Doors, call: Call[None]) -> Response:
    """Answer a browser that asks first: it does when the page sets headers."""
    return preflight(call.request)


def _permitted(event: object, sender: Principal) -> object:
    """Return the event, or its refusal when the key may not send it."""
    if not isinstance(event, Mapping):
        return event
    kind = event["event_type"]
    right = RIGHT_TO_SEND.get(kind) if isinstance(kind, str) else None
    if right is not None and right not in sender.rights:
        reason = f"This key may not send a {kind}; allow it with `signals keys pages KEY_ID --allow {kind}`."
        return MalformedEvent(reason, "not_allowed", "event_type")
    for name in ("org_id", "project_id"):
        if name in event:
            return MalformedEvent(f"A page must not name {name}: its key does.", "not_allowed", name)
    return event


class PageRoute(Route):
    """Matches the requests of pages only, so that our own protocol stays as fast as without it."""

    def matches(self, scope: AsgiScope) -> tuple[Match, AsgiScope]:
        """Match a request with an Origin header or with a key in its query."""
        if scope["type"] != "http" or scope["path"] != self.path or not _is_of_page(scope):
            return Match.NONE, {}
        return super().matches(scope)


def _is_of_page(scope: AsgiScope) -> bool:
    query = scope["query_string"]
    has_key = query.startswith(b"key=") or b"&key=" in query
    return has_key or any(name == b"origin" for name, _ in scope["headers"])


_ANSWERS: Final = {202: Answer(description="Kafka has acknowledged the events.")}
_ENDPOINTS: Final[tuple[Endpoint[Doors], ...]] = (
    Endpoint(method="POST", path="", handler=page_events, tag=DOOR, answers=_ANSWERS),
    Endpoint(method="OPTIONS", path="", handler=page_preflight, tag=DOOR, answers=_ANSWERS),
)


def page_routes(doors: Doors, authorizer: Authorizer) -> list[Route]:
    """Return the routes; they stand before those of our own protocol."""
    by_method: dict[str, Answering] = {one.method: one.bind(doors, authorizer, None) for one in _ENDPOINTS}
    return [PageRoute(path, PathAnswers(by_method), methods=list(by_method)) for path in PATHS]
