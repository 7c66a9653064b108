"""The table of ingest-api's endpoints: those of each protocol, and health."""

from typing import Final

from starlette.responses import Response

from serve_apps.http.endpoint import Answer, Call, Endpoint
from serve_apps.http.health import Liveness, alive
from serve_apps.ingest.intake import Intake
from serve_apps.ingest.protocols import deploys, native, otlp, segment, sentry
from serve_apps.ingest.protocols.doors import Doors


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

DOORS: Final[tuple[Endpoint[Doors], ...]] = (
    *sentry.ENDPOINTS,
    *otlp.ENDPOINTS,
    *deploys.ENDPOINTS,
    *segment.ENDPOINTS,
)
"""Endpoints for clients of other products. Their own protocols describe them, so the document does not."""
