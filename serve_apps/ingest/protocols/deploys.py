"""The door for deploy hooks: one line of curl, GitHub, GitLab and Vercel.

The key stands in a header or in `?key=`. GitHub signs the body with the same key as its secret; GitLab sends
it as its token. Vercel makes up a secret of its own, which the project's settings hold.
"""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from serve_apps.http.answers import json_answer
from serve_apps.http.authorization import foreign_keys, only_key
from serve_apps.http.endpoint import Answer, Call, Endpoint
from serve_apps.http.problems import Problem, answer_to
from serve_apps.ingest.protocols.doors import Doors, foreign_body, receipt_of, unreadable
from shared_types import InvalidEvent
from signals.domain.access.principal import Principal
from signals.domain.events.foreign import ForeignReading, Receipt
from signals.domain.events.from_deploys import read_deploy, read_github, read_gitlab, read_vercel
from signals.domain.events.hook_signatures import is_signed_by_github, is_signed_by_vercel
from signals.errors import DependencyUnavailable

DOOR: Final = "deploys"
BASE: Final = "/v1/events/deploys"
SENDERS: Final = ("github", "gitlab", "vercel")


async def deploy_hook(doors: Doors, call: Call[None]) -> Response:
    """Accept a deploy."""
    request = call.request
    try:
        return await _accepted(doors, request)
    except (InvalidEvent, Problem, DependencyUnavailable) as error:
        refusal = unreadable(error) if isinstance(error, InvalidEvent) else error
        doors.note_refusal(request, DOOR, refusal)
        return answer_to(request, refusal)


async def _accepted(doors: Doors, request: Request) -> Response:
    source = request.path_params.get("source")
    if source is not None and source not in SENDERS:
        raise Problem(404, "not_found", f"There is no such hook; there are {', '.join(SENDERS)}.")
    token = request.headers.get("x-gitlab-token") if source == "gitlab" else None
    sender = await doors.sender(request, DOOR, token)
    key = only_key(foreign_keys(request) | ({token} if token else set())) or ""
    body = await foreign_body(request)
    _check_signature(request, body, key, sender)
    receipt = receipt_of(sender)
    reading = _read(request, source, body, receipt)
    if reading.refused:
        raise Problem(400, "no_release", f"No deploy can be read: {', '.join(reading.refused)}.")
    results = await doors.publish(DOOR, sender, reading, receipt)
    if reading.refused:
        raise Problem(403, "not_allowed", f"Nothing was taken: {', '.join(reading.refused)}.")
    ids = [result.event_id for result in results if result.status == "accepted"]
    return json_answer(request, {"event_ids": ids, "ignored": dict(reading.ignored)})


def _check_signature(request: Request, body: bytes, key: str, sender: Principal) -> None:
    match request.path_params.get("source"):
        case "github":
            is_right = is_signed_by_github(body, request.headers.get("x-hub-signature-256", ""), key)
            remedy = "set the key as the secret of the webhook"
        case "vercel":
            secrets = (sender.doors.vercel_secret, key)
            is_right = is_signed_by_vercel(body, request.headers.get("x-vercel-signature", ""), secrets)
            remedy = "give Vercel's secret to `signals projects doors PROJECT --vercel-secret`"
        case _:
            return
    if not is_right:
        detail = f"The signature is missing or wrong; {remedy}."
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
    Endpoint(method="POST", path=f"{BASE}/", handler=deploy_hook, tag=DOOR, answers=_ANSWERS),
    Endpoint(method="POST", path=f"{BASE}/{{source}}", handler=deploy_hook, tag=DOOR, answers=_ANSWERS),
)
