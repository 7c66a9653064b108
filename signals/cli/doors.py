"""`signals doors`: what to paste into other products' clients, so that they send here."""

import os
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from signals.cli.core_client import load_environment
from signals.cli.ledger import not_events_table
from signals.cli.options import ROOT, Folder
from signals.cli.readable import console
from signals.clients.postgres import open_pool
from signals.errors import SettingsError
from signals.services.events.door_lines import lines
from signals.services.ledger.audit import LedgerAudit
from signals.settings import PostgresSettings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doors)


def doors(
    key: Annotated[
        str | None, typer.Option(help="A key of scope ingest or public; else PROJECT_API_KEY.")
    ] = None,
    url: Annotated[str | None, typer.Option(help="ingest-api's address; else INGEST_API_URL.")] = None,
    traffic: Annotated[
        bool, typer.Option("--traffic", help="Show what became no event in the newest hour instead.")
    ] = False,
    folder: Folder = ROOT,
) -> None:
    """Print what to paste into Sentry, OpenTelemetry, Segment and CI to send here.

    With a public key: what to paste into web pages. --traffic shows by minute which hits had an unknown key,
    what was ignored or refused, and what clients lost before us; it reads DATABASE_URL.
    """
    load_environment(folder / "env")
    if traffic:
        _print_traffic()
    else:
        print(
            lines(key or _variable("PROJECT_API_KEY", "--key"), url or _variable("INGEST_API_URL", "--url"))
        )


def _print_traffic() -> None:
    now = datetime.now(UTC)
    with open_pool(PostgresSettings.from_env(), size=1) as pool:
        rows = LedgerAudit(pool).not_events(None, now - timedelta(hours=1), now)
    if rows:
        console().print(not_events_table(rows))
    else:
        print("In the newest hour every hit had a valid key, and everything sent became an event.")


def _variable(name: str, option: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise SettingsError(f"set {name}, or give {option}")
    return value
