"""Asks core-api over HTTP, as a client with a key would."""

import json
import os
from collections.abc import Mapping, Sequence
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
READING_PATHS: Final = frozenset({"/v1/rules/preview"})
"""Paths that only read although they take a body."""
ADMIN_PATHS: Final = "/v1/rules"
"""Beginning of the paths whose changes need the admin key."""

QueryParameters = Mapping[str, str | int | Sequence[str] | None]


def load_environment(env_file: Path = ENV_FILE) -> None:
    """Complete the environment from the local stack's file; what is set already wins."""
    for name, value in read_env_file(env_file).items():
        if value and not os.environ.get(name):
            os.environ[name] = value


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreAnswer:
    """An answer of core-api: its JSON, None without a body, and its ETag."""

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
) -> CoreAnswer:
    """Send one request to core-api: with the admin key when it changes configuration, else with the read key.

    Raises:
        SettingsError: when CORE_API_URL or the key is missing.
        DependencyUnavailable: when core-api cannot be reached, or says that it is not well.
        typer.Exit: after the problem was printed, when it refuses.
    """
    load_environment()
    query = urlencode({k: v for k, v in (parameters or {}).items() if v is not None}, doseq=True)
    url = f"{_variable('CORE_API_URL').rstrip('/')}{path}" + (f"?{query}" if query else "")
    if urlsplit(url).scheme not in ("http", "https"):
        raise SettingsError("CORE_API_URL must begin with http:// or https://")
    is_read = method == "GET" or path in READING_PATHS or not path.startswith(ADMIN_PATHS)
    key = _variable("READ_API_KEY") if is_read else _variable("ADMIN_API_KEY")
    headers = {"Authorization": f"Bearer {key}"}
    if if_match is not None:
        headers["If-Match"] = if_match
    data = None
    if body is not None:
        data = json.dumps(body).encode()
        headers["Content-Type"] = "application/json"
    request = Request(url, data=data, headers=headers, method=method)  # noqa: S310  # checked above
    try:
        with urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310  # checked above
            text = answer.read()
            return CoreAnswer(body=json.loads(text) if text else None, etag=answer.headers.get("ETag"))
    except HTTPError as error:
        with error:
            detail = _detail(error.read(), error.code)
        if error.code >= 500:
            raise DependencyUnavailable("core-api", detail) from error
        typer.echo(f"signals: {detail}", err=True)
        raise typer.Exit(1) from error
    except (URLError, TimeoutError) as error:
        reason = getattr(error, "reason", error)
        where = urlsplit(url).netloc
        remedy = "start it with `signals up`, or correct CORE_API_URL"
        raise DependencyUnavailable("core-api", f"{reason} ({where}); {remedy}") from error


def _variable(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise SettingsError(f"set {name}, or run this where `signals up` has written {ENV_FILE}")
    return value


def _detail(body: bytes, status: int) -> str:
    try:
        return str(json.loads(body)["detail"])
    except (ValueError, KeyError, TypeError):
        return f"it answered {status}"
