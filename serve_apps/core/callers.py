"""The endpoint that says whose key or token a request carries."""

from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import Field
from starlette.responses import Response

from serve_apps.core.requests import READ_ERRORS, CoreResources
from serve_apps.http.answers import json_answer
from serve_apps.http.endpoint import Answer, Call, Endpoint
from signals.domain.access.scopes import Right


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerView:
    """The caller of a request: `standing` is the scope of the key, or the role of the person."""

    actor: Annotated[str, Field(description="`key:ID` or `user:ID`, as timelines and the audit name it")]
    kind: Literal["key", "person"]
    standing: Annotated[str, Field(description="scope of the key, or role of the person here")]
    org_id: str
    project_id: Annotated[str, Field(description="the project that all answers are about")]


def show_caller(_: CoreResources, call: Call[None]) -> Response:
    """Say who the caller is, and which project the key or token is for."""
    caller = call.principal
    view = CallerView(
        actor=caller.actor,
        kind="key" if caller.user_id is None else "person",
        standing=caller.standing,
        org_id=caller.tenancy.org_id,
        project_id=caller.tenancy.project_id,
    )
    return json_answer(call.request, view)


ENDPOINTS: Final[tuple[Endpoint[CoreResources], ...]] = (
    Endpoint(
        method="GET",
        path="/v1/me",
        handler=show_caller,
        tag="about",
        right=Right.READ,
        answers={200: Answer(description="The caller.", model=CallerView)},
        errors=READ_ERRORS,
    ),
)
