"""Reads query parameters into a frozen dataclass; a misspelt filter must not answer with everything."""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request

from serve_apps.http.problems import Problem

_NAME: Final = re.compile(r"[\w.\-\[\]]{1,40}", re.ASCII)  # may be repeated to the reader: no API key

Query = TypeVar("Query")


@dataclass(frozen=True, slots=True)
class NoParameters:
    """The query of an endpoint that takes none."""


def query_reader(kind: type[Query]) -> Callable[[Request], Query]:
    """Return a function that reads a request's query as `kind`, a dataclass whose fields are the parameters.

    It raises a `Problem` of 400 that names the parameter at fault. A list may be repeated, others not.
    """
    adapter: TypeAdapter[Query]
    adapter, names, repeatable = _parameters(kind)  # type: ignore[arg-type]  # mypy: a class, and yet hashable
    empty = kind()

    def read(request: Request) -> Query:
        text: bytes = request.scope["query_string"]
        if not text:
            return empty
        given = _parse(text, names, repeatable)
        try:
            return adapter.validate_python(given)
        except ValidationError as error:
            raise _invalid(error) from error

    return read


@cache
def _parameters(kind: type[Any]) -> tuple[TypeAdapter[Any], tuple[str, ...], frozenset[str]]:
    """Return what reads a query, the names of its parameters, and of those that may be repeated."""
    adapter = TypeAdapter(kind)
    properties: dict[str, dict[str, Any]] = adapter.json_schema().get("properties", {})
    repeatable = frozenset(name for name, schema in properties.items() if schema.get("type") == "array")
    return adapter, tuple(field.name for field in fields(kind)), repeatable


def _parse(text: bytes, names: Collection[str], repeatable: Collection[str]) -> dict[str, str | list[str]]:
    given: dict[str, str | list[str]] = {}
    for name, value in parse_qsl(text.decode("latin-1"), keep_blank_values=True):
        if name not in names:
            known = ", ".join(sorted(names)) or "no parameters"
            raise _refused(name, f"it is not a parameter here; there are {known}")
        if name not in repeatable:
            if name in given:
                raise _refused(name, "give it once")
            given[name] = value
        else:
            values = given.setdefault(name, [])
            assert isinstance(values, list)
            values.append(value)
    return given


def _refused(name: str, reason: str) -> Problem:
    shown = name if _NAME.fullmatch(name) else "a parameter"
    return Problem(400, "invalid_query", f"{shown}: {reason}.", members={"parameter": shown})


def _invalid(error: ValidationError) -> Problem:
    faults = [
        {"field": ".".join(str(part) for part in fault["loc"]), "message": fault["msg"]}
        for fault in error.errors(include_url=False)
    ]
    detail = f"{faults[0]['field']}: {faults[0]['message']}."
    return Problem(400, "invalid_request", detail, members={"errors": faults})
