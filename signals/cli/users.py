"""`signals users …`: who may open the console, as what, and how they sign in."""

import os
from datetime import timedelta
from typing import Annotated, Final

import typer

from signals.cli import passwords
from signals.cli.database import actor, opened_database, print_rows
from signals.cli.options import AsJson
from signals.clients.postgres import transaction
from signals.domain.access.people import INVITATION_LASTS, LINK_LASTS, Role
from signals.services.access import people as service
from signals.store.access import people as store

WITHOUT_ADDRESS: Final = "https://YOUR-HOST"

Url = Annotated[
    str | None, typer.Option("--url", help="Where people reach the console; CORE_API_URL unless given.")
]
users = typer.Typer(help="People who may open the console.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    passwords.add_commands(users)
    app.add_typer(users, name="users")


@users.command("add")
def add_user(
    email: str,
    org: Annotated[str, typer.Option(help="Id of the organisation.")],
    role: Annotated[
        Role, typer.Option(help="viewer reads; responder works on incidents; admin manages keys and people.")
    ] = Role.VIEWER,
    name: Annotated[str | None, typer.Option(help="For people; the address's first part otherwise.")] = None,
    url: Url = None,
) -> None:
    """Add a person to an organisation, or change their role, and print a link to sign in."""
    with opened_database() as pool:
        service.add_person(pool, email, org_id=org, role=role, name=name, actor=actor())
        link = service.issue_link(pool, email, lasts=INVITATION_LASTS)
    typer.echo(f"{email} is {role.value} in {org}. The link works once, for 7 days:", err=True)
    print(_address(url) + link)


@users.command("link")
def print_link(email: str, url: Url = None) -> None:
    """Print a link with which a person signs in once, within 15 minutes."""
    with opened_database() as pool:
        link = service.issue_link(pool, email)
    minutes = LINK_LASTS // timedelta(minutes=1)
    typer.echo(f"The link works once, for {minutes} minutes:", err=True)
    print(_address(url) + link)


@users.command("list")
def list_users(
    org: Annotated[str | None, typer.Option(help="Only members of this organisation.")] = None,
    as_json: AsJson = False,
) -> None:
    """List people with their role in each organisation."""
    with opened_database() as pool, transaction(pool) as connection:
        rows = store.list_members(connection, org)
    print_rows(rows, as_json=as_json)


@users.command("remove")
def remove_user(
    email: str,
    org: Annotated[str | None, typer.Option(help="Only from this organisation.")] = None,
) -> None:
    """Remove a person; their sessions end at once."""
    with opened_database() as pool:
        ended = service.remove_person(pool, email, org_id=org, actor=actor())
    if not ended:
        typer.echo(f"signals: {email} is no member of {org}", err=True)
        raise typer.Exit(1)
    print(f"Removed {email} from {', '.join(ended)}.")


@users.command("erase")
def erase_user(email: str) -> None:
    """Erase a person's address, name, password, tokens and sessions; their id stays, without a name."""
    with opened_database() as pool:
        assignments = service.erase_person(pool, email, actor=actor())
    print(f"Erased {email}, and from {assignments} assignments. Comments keep the words that people wrote.")


def _address(url: str | None) -> str:
    return (url or os.environ.get("CORE_API_URL") or WITHOUT_ADDRESS).rstrip("/")
