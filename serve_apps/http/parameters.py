"""Refuses query parameters that a route does not take: a misspelt filter must not answer with everything."""

import re
from collections.abc import Collection
from functools import lru_cache
from typing import Any, Final

from fastapi import FastAPI
from starlette.requests import Request

from serve_apps.http.problems import Problem

_NAME: Final = re.compile(r"[\w.\-\[\]]{1,40}", re.ASCII)  # what may be repeated to the reader: no API key


def check_documented(request: Request) -> None:
    """Accept a request whose query parameters its operation in the OpenAPI document knows.

    Raises:
        Problem: as `check_parameters` does.
    """
    kinds = _query_parameters(request.app, request.scope["route"].path, request.method.lower())
    check_parameters(request, kinds, [name for name, kind in kinds.items() if kind == "array"])


@lru_cache(maxsize=64)
def _query_parameters(app: FastAPI, path: str, method: str) -> dict[str, str | None]:
    """Return the type of each query parameter of an operation, as the document has it."""
    operation: dict[str, Any] = app.openapi()["paths"][path][method]
    parameters = operation.get("parameters", [])
    return {one["name"]: one["schema"].get("type") for one in parameters if one["in"] == "query"}


def check_parameters(request: Request, allowed: Collection[str], repeatable: Collection[str] = ()) -> None:
    """Accept a request whose query parameters are all `allowed`, each once unless `repeatable`.

    Raises:
        Problem: 400 naming the first parameter at fault.
    """
    if not request.scope["query_string"]:
        return
    seen: set[str] = set()
    for name, _ in request.query_params.multi_items():
        if name not in allowed:
            known = ", ".join(sorted(allowed)) or "no parameters"
            raise _refused(name, f"it is not a parameter here; there are {known}")
        if name in seen and name not in repeatable:
            raise _refused(name, "give it once")
        seen.add(name)


def _refused(name: str, why: str) -> Problem:
    shown = name if _NAME.fullmatch(name) else "a parameter"
    return Problem(400, "invalid_query", f"{shown}: {why}.", members={"parameter": shown})
