"""The door for deploy hooks: one line of curl, GitHub, GitLab and Vercel.

The key stands in a header or in `?key=`. GitHub signs the body with the same key as its secret; GitLab sends
it as its token. Vercel makes up a secret of its own, which is not kept here: its key is that of the URL.
"""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from serve_apps.http.answers import json_answer
from serve_apps.http.authorization import foreign_keys, only_key
from serve_apps.http.endpoint import Answer, Call, Endpoint
from serve_apps.http.problems import Problem
from serve_apps.ingest.protocols.doors import Doors, foreign_body, receipt_of, unreadable
from shared_types import InvalidEvent
from signals.domain.events.foreign import ForeignReading, Receipt
from signals.domain.events.from_deploys import (
    is_signed_by_github,
    read_deploy,
    read_github,
    read_gitlab,
    read_vercel,
)

DOOR: Final = "deploys"
BASE: Final = "/v1/events/deploys"
SENDERS: Final = ("github", "gitlab", "vercel")


async def deploy_hook(doors: Doors, call: Call[None]) -> Response:
    """Accept a deploy."""
    request = call.request
    source = request.path_params.get("source")
    if source is not None and source not in SENDERS:
        raise Problem(404, "not_found", f"There is no such hook; there are {', '.join(SENDERS)}.")
    token = request.headers.get("x-gitlab-token") if source == "gitlab" else None
    sender = await doors.sender(request, DOOR, token)
    key = only_key(foreign_keys(request) | ({token} if token else set())) or ""
    body = await foreign_body(request)
    if source == "github":
        _check_signature(request, body, key)
    receipt = receipt_of(sender)
    try:
        reading = _read(request, source, body, receipt)
    except InvalidEvent as error:
        raise unreadable(error) from error
    if reading.refused:
        raise Problem(400, "no_release", f"No deploy can be read: {', '.join(reading.refused)}.")
    results = await doors.publish(DOOR, sender, reading, receipt)
    if reading.refused:
        raise Problem(403, "not_allowed", f"Nothing was taken: {', '.join(reading.refused)}.")
    ids = [result.event_id for result in results if result.status == "accepted"]
    return json_answer(request, {"event_ids": ids, "ignored": dict(reading.ignored)})


def _check_signature(request: Request, body: bytes, key: str) -> None:
    if not is_signed_by_github(body, request.headers.get("x-hub-signature-256", ""), key):
        detail = "The signature is missing or wrong; set the key as the secret of the webhook."
        raise Problem(401, "wrong_signature", detail, headers={"WWW-Authenticate": "Bearer"})


def _read(request: Request, source: str | None, body: bytes, receipt: Receipt) -> ForeignReading:
    match source:
        case "github":
            headers = request.headers
            return read_github(
                body, headers.get("x-github-event", ""), headers.get("x-github-delivery", ""), receipt
            )
        case "gitlab":
            return read_gitlab(body, receipt)
        case "vercel":
            return read_vercel(body, receipt)
        case _:
            return read_deploy(body, receipt)


_ANSWERS: Final = {200: Answer(description="Kafka has acknowledged the deploy.")}

ENDPOINTS: Final[tuple[Endpoint[Doors], ...]] = (
    Endpoint(method="POST", path=BASE, handler=deploy_hook, tag=DOOR, answers=_ANSWERS),
    Endpoint(method="POST", path=f"{BASE}/{{source}}", handler=deploy_hook, tag=DOOR, answers=_ANSWERS),
)
