"""`signals up`, `signals down`, `signals migrate`."""

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from signals.local import bring_up
from signals.settings import PostgresSettings
from signals.store.schema import migrate as apply_migrations

ROOT = Path(".signals")

Folder = Annotated[Path, typer.Option("--folder", help="Where the local stack keeps its data.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(up)
    app.command()(down)
    app.command()(migrate)


def up(
    folder: Folder = ROOT,
    http_port: Annotated[int | None, typer.Option(help="Port of both APIs; 8000 unless busy.")] = None,
) -> None:
    """Start servers, Ray, both APIs and all actors in the background, and wait until they are ready."""
    console = Console()
    product = bring_up.up(
        folder, environ=os.environ, console=console, ports={"http": http_port} if http_port else None
    )
    for note in product.notes:
        console.print(f"note: {note}", highlight=False)
    if not product.started:
        console.print("Already running; nothing to do.")
    console.print(f"APIs           {product.environment['CORE_API_URL']}  (docs at /docs)", highlight=False)
    console.print(f"Ray dashboard  {product.dashboard_url}", highlight=False)
    console.print(
        f"Environment    {folder / 'env'}  (keys, URLs: set -a; . {folder / 'env'}; set +a)", highlight=False
    )


def down(folder: Folder = ROOT) -> None:
    """Stop everything that `signals up` started; data stays."""
    stopped = bring_up.down(folder)
    print(f"Stopped {', '.join(stopped)}." if stopped else "Nothing was running.")


def migrate() -> None:
    """Bring the schema of DATABASE_URL up to date; safe to run twice, and twice at once."""
    applied = apply_migrations(PostgresSettings.from_env())
    print(f"Applied {', '.join(applied)}." if applied else "The schema is up to date.")
