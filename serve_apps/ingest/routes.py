"""The table of ingest-api's endpoints: those of each protocol, and health."""

from typing import Final

from starlette.responses import Response

from serve_apps.http.endpoint import Answer, Call, Endpoint
from serve_apps.http.health import Liveness, alive
from serve_apps.ingest.intake import Intake
from serve_apps.ingest.protocols import native


async def ingest_healthz(_: Intake, call: Call[None]) -> Response:
    """Answer as long as the process of ingest-api lives; asks no server."""
    return alive(call)


ENDPOINTS: Final[tuple[Endpoint[Intake], ...]] = (
    *native.ENDPOINTS,
    Endpoint(
        method="GET",
        path="/v1/events/healthz",
        handler=ingest_healthz,
        tag="ingest",
        answers={200: Answer(description="It answers.", model=Liveness)},
    ),
)
