"""`signals users password` and `signals users tokens`: how people sign in, and what acts in their name."""

import sys
from typing import Annotated
from uuid import UUID

import typer

from signals.cli.database import actor, opened_database, print_rows
from signals.cli.options import AsJson
from signals.services.access.passwords import Passwords
from signals.services.access.person_tokens import DEFAULT_DAYS, PersonTokens

tokens = typer.Typer(help="Tokens with which people's programs use the API.", no_args_is_help=True)


def add_commands(users: typer.Typer) -> None:
    """Add the commands to the group about people."""
    users.command("password")(set_password)
    users.add_typer(tokens, name="tokens")


def set_password(
    email: str,
    remove: Annotated[bool, typer.Option("--remove", help="Leave links as the way to sign in.")] = False,
) -> None:
    """Set a person's password and end their sessions; it is asked for, or read from standard input."""
    with opened_database() as pool:
        passwords = Passwords(pool)
        if remove:
            if not passwords.remove_for(email, actor=actor()):
                typer.echo(f"signals: {email} has no password", err=True)
                raise typer.Exit(1)
            print(f"{email} has no password any more, and is signed out everywhere.")
            return
        passwords.set_for(email, _asked(), actor=actor())
    print(f"The password of {email} is set; their sessions and unused links have ended.")


def _asked() -> str:
    """Return the password, never from an argument: those are seen by every account of the machine."""
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\r\n")


@tokens.command("create")
def create_token(
    email: str,
    project: Annotated[str, typer.Option(help="The project that the token is for.")],
    name: Annotated[str, typer.Option(help="What it is for, like backup-script.")],
    days: Annotated[int, typer.Option(help="For how many days it is valid, 365 at most.")] = DEFAULT_DAYS,
) -> None:
    """Create a token and print it, this once; it acts as the person, with their role."""
    with opened_database() as pool:
        issued = PersonTokens(pool).issue_for(email, project, name=name, days=days, actor=actor())
    typer.echo(f"The token acts as {email} in {project} for {days} days. It is not shown again:", err=True)
    print(issued.text)


@tokens.command("list")
def list_tokens(as_json: AsJson = False) -> None:
    """List the valid tokens of all people."""
    with opened_database() as pool:
        rows = PersonTokens(pool).of()
    print_rows(rows, as_json=as_json)


@tokens.command("revoke")
def revoke_token(token_id: UUID) -> None:
    """Revoke a token; it ends at once."""
    with opened_database() as pool:
        revoked = PersonTokens(pool).revoke(token_id, actor=actor())
    if not revoked:
        typer.echo(f"signals: there is no token {token_id}: see `signals users tokens list`", err=True)
        raise typer.Exit(1)
    print(f"Revoked {token_id}.")
