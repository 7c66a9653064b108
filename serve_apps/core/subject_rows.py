"""Rows of the table of routes below one incident or one outage: a reading and a change of the same shape."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from serve_apps.core.requests import MODEL_ERRORS, READ_ERRORS, CoreResources
from serve_apps.http.endpoint import Answer, Call, Endpoint
from serve_apps.http.parameters import NoParameters
from signals.domain.access.scopes import Right

BODY_ERRORS: Final = {code: text for code, text in MODEL_ERRORS.items() if code != 422}


@dataclass(frozen=True, slots=True, kw_only=True)
class PathSubject:
    """An incident or an outage that a path names."""

    path: str
    noun: str

    @property
    def missing(self) -> dict[int, str]:
        """The answer when the project has no such one."""
        return {404: f"The key's project has no such {self.noun}."}


INCIDENT: Final = PathSubject(path="/v1/incidents/{incident_id}", noun="incident")
OUTAGE: Final = PathSubject(path="/v1/outages/{outage_id}", noun="outage")


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectPart:
    """A part of a subject, like its feedback: the end of the path, and the tag of the document."""

    of: PathSubject
    name: str
    tag: str

    @property
    def path(self) -> str:
        """The whole path."""
        return f"{self.of.path}/{self.name}"


def reading(
    part: SubjectPart, handler: Callable[[CoreResources, Call[Any]], Response], answer: Answer
) -> Endpoint[CoreResources]:
    """Return the row that reads a part; a read key may."""
    return Endpoint(
        method="GET",
        path=part.path,
        handler=handler,
        tag=part.tag,
        right=Right.READ,
        query=NoParameters,
        answers={200: answer},
        errors=READ_ERRORS | part.of.missing,
    )


def change(
    part: SubjectPart,
    handler: Callable[[CoreResources, Call[Any]], Awaitable[Response]],
    body: type[Any],
    answers: Mapping[int, Answer],
    errors: dict[int, str],
    headers: tuple[Mapping[str, Any], ...] = (),
) -> Endpoint[CoreResources]:
    """Return the row that takes a body for a part; a read key may, as with the status."""
    return Endpoint(
        method="POST",
        path=part.path,
        handler=handler,
        tag=part.tag,
        right=Right.CHANGE_INCIDENTS,
        query=NoParameters,
        headers=headers,
        body={"application/json": body},
        answers=answers,
        errors=READ_ERRORS | part.of.missing | BODY_ERRORS | errors,
    )
