"""The endpoint of the audit: who changed which setting, when, from what to what."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from starlette.responses import Response

from serve_apps.core.requests import ADMIN_ERRORS, BLANK, CoreResources, Limit
from serve_apps.http.answers import json_answer
from serve_apps.http.endpoint import Answer, Call, Endpoint
from signals.domain.access.scopes import Right
from signals.domain.queries.parameters import checked_text
from signals.store.access.audit import AuditRow

MAX_TARGET = 128  # characters: a kind and an id, or the name of a rule
MAX_ID = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditQuery:
    """The parameters of the audit."""

    target: Annotated[
        Annotated[str, Field(max_length=MAX_TARGET)] | None,
        BLANK,
        Field(description="one object, like rule:error-spike, key:ID, destination:ID"),
    ] = None
    before: Annotated[
        Annotated[int, Field(ge=1, le=MAX_ID)] | None,
        BLANK,
        Field(description="id of the last row of the page before"),
    ] = None
    limit: Limit = 50


def list_audit(core: CoreResources, call: Call[AuditQuery]) -> Response:
    """List changes of the project's settings and of the organisation's people, newest first; no secrets."""
    query = call.query
    target = None if query.target is None else checked_text("target", query.target, max_length=MAX_TARGET)
    rows = core.audit_trail.newest(call.tenancy, target=target, before=query.before, limit=query.limit)
    return json_answer(call.request, rows)


ENDPOINTS: tuple[Endpoint[CoreResources], ...] = (
    Endpoint(
        method="GET",
        path="/v1/audit",
        handler=list_audit,
        tag="about",
        right=Right.READ_AUDIT,
        query=AuditQuery,
        answers={200: Answer(description="The newest.", model=list[AuditRow])},
        errors=ADMIN_ERRORS,
    ),
)
