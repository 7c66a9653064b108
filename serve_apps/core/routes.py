"""The table of core-api's endpoints, and the document that describes both APIs."""

from functools import cache
from typing import Final

from starlette.responses import Response

from serve_apps.core import (
    about,
    audit,
    bulk_changes,
    callers,
    deploys,
    doors,
    events,
    feedback,
    incidents,
    maintenance,
    notifications,
    outage_grouping,
    outage_work,
    outages,
    questions,
    rule_checks,
    rules,
)
from serve_apps.core.requests import CoreResources
from serve_apps.http.answers import encode, encoded_answer
from serve_apps.http.docs_page import PAGE_HEADERS, docs_page
from serve_apps.http.endpoint import Answer, Call, Endpoint
from serve_apps.http.openapi import OpenApiDocument, describe
from serve_apps.ingest.routes import ENDPOINTS as INGEST_ENDPOINTS

ENDPOINTS: Final[tuple[Endpoint[CoreResources], ...]] = (
    *incidents.ENDPOINTS,  # first the hottest
    *outages.ENDPOINTS,
    *outage_work.ENDPOINTS,
    *outage_grouping.ENDPOINTS,
    *bulk_changes.ENDPOINTS,
    *events.ENDPOINTS,
    *deploys.ENDPOINTS,
    *feedback.ENDPOINTS,
    *questions.ENDPOINTS,
    *notifications.ENDPOINTS,
    *maintenance.ENDPOINTS,
    *rule_checks.ENDPOINTS,
    *rules.ENDPOINTS,
    *doors.ENDPOINTS,
    *audit.ENDPOINTS,
    *callers.ENDPOINTS,
    *about.ENDPOINTS,
)


def document() -> OpenApiDocument:
    """Return the OpenAPI document of both APIs, from the tables that answer."""
    return describe((*ENDPOINTS, *INGEST_ENDPOINTS))


@cache
def documentation() -> tuple[Endpoint[CoreResources], ...]:
    """Return the endpoints that serve the document: as JSON, and as a page for people; written once."""
    found = document()
    as_json, as_page = encode(found), docs_page(found).encode()

    async def openapi(_: CoreResources, call: Call[None]) -> Response:
        return encoded_answer(call.request, as_json)

    async def docs(_: CoreResources, call: Call[None]) -> Response:
        return encoded_answer(call.request, as_page, media_type="text/html", headers=PAGE_HEADERS)

    answers = {200: Answer(description="The document.")}
    return (
        Endpoint(method="GET", path="/openapi.json", handler=openapi, tag="about", answers=answers),
        Endpoint(method="GET", path="/docs", handler=docs, tag="about", answers=answers),
    )
