"""`signals up`, `signals down`, `signals prepare`, `signals migrate`."""

import os
from typing import Annotated, Final

import typer
from rich.console import Console

from signals.cli.options import ROOT, Folder
from signals.cli.readable import console
from signals.clients.postgres import open_pool
from signals.domain.access.people import Role
from signals.local import bring_up, watchdog
from signals.services.access import people
from signals.services.access.provisioning import ProvisioningRefused
from signals.settings import ConsoleSettings, PostgresSettings
from signals.store.operations.schema import migrate as apply_migrations

DEMO_ADMIN: Final = "admin@demo.local"

HttpPort = Annotated[int | None, typer.Option(help="Port of both APIs; 8000 unless busy.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(up)
    app.command()(down)
    app.command()(migrate)
    app.command()(prepare)


def up(folder: Folder = ROOT, http_port: HttpPort = None) -> None:
    """Start servers, Ray, both APIs and all actors in the background, and wait until they are ready.

    When the files hold other code than what runs, replace it piece by piece; both APIs go on answering.
    """
    out = console()
    ports = {"http": http_port} if http_port else {}
    with watchdog.paused(folder):
        product = bring_up.up(folder, environ=os.environ, console=Console(), ports=ports)
    os.environ.update(product.environment)
    for note in product.notes:
        out.print(f"note: {note}")
    if product.has_replaced:
        out.print("The code had changed: replicas and consumers were replaced one after the other.")
    elif not product.started:
        out.print("Already running; nothing to do.")
    env = folder / "env"
    if ConsoleSettings.from_env().signals_console != "none":
        out.print(f"Console        {product.environment['CORE_API_URL']}{sign_in_link()}")
        out.print(
            f"               (signs in once, within 15 minutes; another: signals users link {DEMO_ADMIN})"
        )
    out.print(f"APIs           {product.environment['CORE_API_URL']}")
    out.print(f"Ray dashboard  {product.environment['RAY_DASHBOARD_URL']}")
    out.print(f"Keys and URLs  {env} (set -a; . {env}; set +a)")


def sign_in_link() -> str:
    """Return a new link for the admin of the demo organisation, who is created by the first `up`."""
    with open_pool(PostgresSettings.from_env(), size=1) as pool:
        try:
            return people.issue_link(pool, DEMO_ADMIN)
        except ProvisioningRefused:  # the first time
            people.add_person(pool, DEMO_ADMIN, org_id=bring_up.DEMO_ORG, role=Role.ADMIN, actor="cli:up")
            return people.issue_link(pool, DEMO_ADMIN)


def down(folder: Folder = ROOT) -> None:
    """Stop everything that `signals up` started; data stays."""
    with watchdog.paused(folder, ending=True):
        stopped = bring_up.down(folder)
    print(f"Stopped {', '.join(stopped)}." if stopped else "Nothing was running.")


def migrate() -> None:
    """Bring the schema of DATABASE_URL up to date; safe to run twice, and twice at once."""
    applied = apply_migrations(PostgresSettings.from_env())
    print(f"Applied {', '.join(applied)}." if applied else "The schema is up to date.")


def prepare() -> None:
    """Bring schema, topics and index of your own servers up to date; safe to run again."""
    bring_up.prepare_servers()
    print("Schema, topics and index are up to date.")
