"""Asks our APIs over HTTP, as any client with a key would."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import Request, urlopen

import typer

from signals.errors import DependencyUnavailable, SettingsError
from signals.local.environment import read_env_file

ENV_FILE: Final = Path(".signals/env")
TIMEOUT_S: Final = 30.0
FOLLOW_TIMEOUT_S: Final = 20.0  # between two events; the server writes one each 5 s
READ_KEY_PATHS: Final = ("/v1/rules/preview", "/v1/incidents", "/v1/outages")
"""Beginnings of paths that take a body and need the read key; other changes need the admin key."""
AUDIT_PATH: Final = "/v1/audit"
"""Read with the admin key: it names keys and people."""

QueryParameters = Mapping[str, str | int | Sequence[str] | None]


def load_environment(env_file: Path = ENV_FILE) -> None:
    """Complete the environment from the local stack's file; what is set already wins."""
    for name, value in read_env_file(env_file).items():
        if value and not os.environ.get(name):
            os.environ[name] = value


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiAnswer:
    """An answer of one of our APIs: its JSON, None without a body, and its ETag."""

    body: Any
    etag: str | None


def get(path: str, parameters: QueryParameters) -> Any:
    """Return the JSON that core-api answers; parameters that are None are left out. Raises as `ask` does."""
    return ask("GET", path, parameters=parameters).body


def send(method: str, path: str, body: object = None) -> Any:
    """Send JSON and return the JSON that core-api answers, None without a body. Raises as `ask` does."""
    return ask(method, path, body=body).body


def ask(
    method: str,
    path: str,
    *,
    parameters: QueryParameters | None = None,
    body: object = None,
    if_match: str | None = None,
) -> ApiAnswer:
    """Send one request to core-api: with the admin key when it changes configuration, else with the read key.

    Raises:
        SettingsError: when CORE_API_URL or the key is missing.
        DependencyUnavailable: when core-api cannot be reached, or says that it is not well.
        typer.Exit: after the problem was printed, when it refuses.
    """
    request = _request(method, path, parameters=parameters, body=body, if_match=if_match)
    return answer_of(request, "core-api", "CORE_API_URL")


def follow(path: str, body: object) -> Iterator[tuple[str, Any]]:
    """Send JSON, and yield name and data of each server-sent event of the answer. Raises as `ask` does."""
    request = _request("POST", path, body=body)
    with _opened(request, "core-api", "CORE_API_URL", timeout_s=FOLLOW_TIMEOUT_S) as answer:
        name = ""
        for line in answer:
            field, _, value = line.decode().rstrip("\n").partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                yield name, json.loads(value)


def _request(
    method: str,
    path: str,
    *,
    parameters: QueryParameters | None = None,
    body: object = None,
    if_match: str | None = None,
) -> Request:
    load_environment()
    query = urlencode({k: v for k, v in (parameters or {}).items() if v is not None}, doseq=True)
    url = address("CORE_API_URL", path + (f"?{query}" if query else ""))
    has_read_key = (method == "GET" and path != AUDIT_PATH) or path.startswith(READ_KEY_PATHS)
    key = variable("READ_API_KEY") if has_read_key else variable("ADMIN_API_KEY")
    headers = {"Authorization": f"Bearer {key}"}
    if if_match is not None:
        headers["If-Match"] = if_match
    data = None
    if body is not None:
        data = json.dumps(body).encode()
        headers["Content-Type"] = "application/json"
    return Request(url, data=data, headers=headers, method=method)  # noqa: S310  # `address` has checked it


def address(name: str, path: str) -> str:
    """Return the address of a path below the API that an environment variable names.

    Raises:
        SettingsError: when the variable is missing or no HTTP address.
    """
    url = f"{variable(name).rstrip('/')}{path}"
    if urlsplit(url).scheme not in ("http", "https"):
        raise SettingsError(f"{name} must begin with http:// or https://")
    return url


def answer_of(request: Request, server: str, setting: str) -> ApiAnswer:
    """Return what one of our APIs answers; `setting` names its address.

    Raises:
        DependencyUnavailable: when it cannot be reached, or says that it is not well.
        typer.Exit: after the problem was printed, when it refuses.
    """
    with _opened(request, server, setting, timeout_s=TIMEOUT_S) as answer:
        text = answer.read()
        return ApiAnswer(body=json.loads(text) if text else None, etag=answer.headers.get("ETag"))


@contextmanager
def _opened(request: Request, server: str, setting: str, *, timeout_s: float) -> Iterator[Any]:
    try:
        with urlopen(request, timeout=timeout_s) as answer:  # noqa: S310  # `address` has checked it
            yield answer
    except HTTPError as error:
        with error:
            detail = _detail(error.read(), error.code)
        if error.code >= 500:
            raise DependencyUnavailable(server, detail) from error
        typer.echo(f"signals: {detail}", err=True)
        raise typer.Exit(1) from error
    except (URLError, TimeoutError) as error:
        reason = getattr(error, "reason", error)
        where = urlsplit(request.full_url).netloc
        remedy = f"start it with `signals up`, or correct {setting}"
        raise DependencyUnavailable(server, f"{reason} ({where}); {remedy}") from error


def variable(name: str) -> str:
    """Return an environment variable. Raises SettingsError when it is missing."""
    value = os.environ.get(name)
    if not value:
        raise SettingsError(f"set {name}, or run this where `signals up` has written {ENV_FILE}")
    return value


def _detail(body: bytes, status: int) -> str:
    try:
        return str(json.loads(body)["detail"])
    except (ValueError, KeyError, TypeError):
        return f"it answered {status}"
