"""The answer of a process that lives, the same for every application."""

from typing import Final

from pydantic import BaseModel
from starlette.responses import Response

from serve_apps.http.answers import json_answer
from serve_apps.http.endpoint import Call


class Liveness(BaseModel):
    """The process answers."""

    status: str = "ok"


_ALIVE: Final = Liveness().model_dump()


def alive(call: Call[None]) -> Response:
    """Return the answer of a process that lives."""
    return json_answer(call.request, _ALIVE)
