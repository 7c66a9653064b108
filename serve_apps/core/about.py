"""The endpoints about core-api itself; they need no key."""

from typing import Final

from pydantic import BaseModel
from starlette.responses import RedirectResponse, Response

from serve_apps.core.requests import CoreResources
from serve_apps.http.answers import json_answer
from serve_apps.http.endpoint import Answer, Call, Endpoint
from serve_apps.http.health import Liveness, alive
from serve_apps.http.problems import NOT_STORED
from signals.services.operations.readiness import ProductReadiness


class Welcome(BaseModel):
    """Where to look."""

    name: str = "Customer Signals Copilot"
    documentation: str = "/docs"
    openapi: str = "/openapi.json"
    readiness: str = "/readyz"


_WELCOME: Final = Welcome().model_dump()


async def welcome(core: CoreResources, call: Call[None]) -> Response:
    """Say where to look; a browser is sent to the console, or to the documentation where there is none."""
    if "text/html" in call.request.headers.get("accept", ""):
        return RedirectResponse(
            "/docs" if core.placement == "none" else "/console/", status_code=303, headers=NOT_STORED
        )
    return json_answer(call.request, _WELCOME)


async def healthz(_: CoreResources, call: Call[None]) -> Response:
    """Answer as long as the process lives; asks no server."""
    return alive(call)


def readyz(core: CoreResources, call: Call[None]) -> Response:
    """Name every server and every expected consumer with its state; 503 unless all are well."""
    readiness = core.readiness.check()
    return json_answer(call.request, readiness, status=200 if readiness.ready else 503)


ENDPOINTS: tuple[Endpoint[CoreResources], ...] = (
    Endpoint(
        method="GET",
        path="/",
        handler=welcome,
        tag="about",
        answers={
            200: Answer(description="Links.", model=Welcome),
            303: Answer(description="To the console or the documentation, for a browser."),
        },
    ),
    Endpoint(
        method="GET",
        path="/healthz",
        handler=healthz,
        tag="about",
        answers={200: Answer(description="It answers.", model=Liveness)},
    ),
    Endpoint(
        method="GET",
        path="/readyz",
        handler=readyz,
        tag="about",
        answers={
            200: Answer(description="All are well.", model=ProductReadiness),
            503: Answer(description="At least one is not.", model=ProductReadiness),
        },
    ),
)
