"""`signals doors`: what to paste into other products' clients, so that they send here."""

import os
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import typer

from signals.cli.core_client import load_environment
from signals.domain.access.api_keys import Scope, scope_of
from signals.errors import SettingsError

TEXT: Final = """\
Sentry, any SDK
  dsn: {scheme}://{key}@{host}/v1/events/sentry/1

OpenTelemetry, logs and traces
  OTEL_EXPORTER_OTLP_ENDPOINT={base}/v1/events/otlp
  OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20{key}
  OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf
  OTEL_METRICS_EXPORTER=none

Segment
  Python: analytics.write_key = "{key}"; analytics.host = "{base}/v1/events/segment"
  Node:   new Analytics({{ writeKey: "{key}", host: "{base}", path: "/v1/events/segment/v1/batch" }})

Deploys
  CI:     curl -sS "{base}/v1/events/deploys" -H "Authorization: Bearer {key}" -d '{{"release": "VERSION"}}'
  GitHub: {base}/v1/events/deploys/github?key={key} with the key as its secret
  GitLab: {base}/v1/events/deploys/gitlab with the key as its secret token"""
DASH: Final = (
    "\nThis key holds a `-`, which JavaScript refuses in a DSN: make a new one with `signals keys create`."
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doors)


def doors(
    key: Annotated[str | None, typer.Option(help="A key of scope ingest; else PROJECT_API_KEY.")] = None,
    url: Annotated[str | None, typer.Option(help="ingest-api's address; else INGEST_API_URL.")] = None,
    folder: Annotated[Path, typer.Option("--folder", help="Where the local stack keeps its data.")] = Path(
        ".signals"
    ),
) -> None:
    """Print what to paste into Sentry, OpenTelemetry, Segment and CI to send here."""
    load_environment(folder / "env")
    print(lines(key or _variable("PROJECT_API_KEY", "--key"), url or _variable("INGEST_API_URL", "--url")))


def lines(key: str, url: str) -> str:
    """Return the text for a key and an address.

    Raises:
        SettingsError: when one of them cannot be used.
    """
    parts = urlsplit(url.rstrip("/"))
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise SettingsError("the address of ingest-api must begin with http:// or https://")
    if scope_of(key) is not Scope.INGEST:
        raise SettingsError("this is no key of scope ingest: make one with `signals keys create`")
    host = f"{parts.netloc}{parts.path}"
    text = TEXT.format(scheme=parts.scheme, host=host, key=key, base=f"{parts.scheme}://{host}")
    return text + DASH if "-" in key else text


def _variable(name: str, option: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise SettingsError(f"set {name}, or give {option}")
    return value
