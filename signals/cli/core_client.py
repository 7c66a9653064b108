"""Asks core-api over HTTP, as a reader with a key would."""

import json
import os
from collections.abc import Mapping, Sequence
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

QueryParameters = Mapping[str, str | int | Sequence[str] | None]


def load_environment(env_file: Path = ENV_FILE) -> None:
    """Complete the environment from the local stack's file; what is set already wins."""
    for name, value in read_env_file(env_file).items():
        if value and not os.environ.get(name):
            os.environ[name] = value


def get(path: str, parameters: QueryParameters) -> Any:
    """Return the JSON that core-api answers; parameters that are None are left out.

    Raises:
        SettingsError: when CORE_API_URL or READ_API_KEY is missing.
        DependencyUnavailable: when core-api cannot be reached, or says that it is not well.
        typer.Exit: after the problem was printed, when it refuses.
    """
    load_environment()
    query = urlencode({k: v for k, v in parameters.items() if v is not None}, doseq=True)
    url = f"{_variable('CORE_API_URL').rstrip('/')}{path}" + (f"?{query}" if query else "")
    if urlsplit(url).scheme not in ("http", "https"):
        raise SettingsError("CORE_API_URL must begin with http:// or https://")
    request = Request(url, headers={"Authorization": f"Bearer {_variable('READ_API_KEY')}"})  # noqa: S310  # checked above
    try:
        with urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310  # checked above
            return json.load(answer)
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
