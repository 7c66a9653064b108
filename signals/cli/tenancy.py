"""`signals orgs|projects|keys create|list|revoke`: who may send and read."""

import json
from typing import Annotated
from uuid import UUID

import typer

from signals.cli import project_doors, project_times
from signals.cli.database import actor, opened_database, print_rows
from signals.cli.options import AsJson
from signals.clients.postgres import transaction
from signals.domain.access.scopes import Scope
from signals.services.access import provisioning
from signals.store.access import api_keys, tenancy

PerSecond = Annotated[
    int | None, typer.Option(min=0, max=10**9, help="0: unlimited; left out: the environment's default.")
]
PerDay = Annotated[
    int | None, typer.Option(min=0, max=10**15, help="Per UTC day; 0: unlimited; left out: the default.")
]

Origins = Annotated[
    list[str] | None,
    typer.Option(help="Page that may use a public key, like https://shop.example; may be repeated."),
]
Allowed = Annotated[
    list[str] | None,
    typer.Option(help="signup or deploy: let a public key send these, too; may be repeated."),
]

orgs = typer.Typer(help="Organisations.", no_args_is_help=True)
projects = typer.Typer(help="Projects; events and incidents belong to one.", no_args_is_help=True)
keys = typer.Typer(help="API keys; a key is printed once, when it is created.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(orgs, name="orgs")
    app.add_typer(projects, name="projects")
    project_times.add_commands(projects)
    project_doors.add_commands(projects)
    app.add_typer(keys, name="keys")


@orgs.command("create")
def create_org(org_id: str, name: Annotated[str | None, typer.Option(help="For people.")] = None) -> None:
    """Create an organisation."""
    with opened_database() as pool:
        created = provisioning.create_org(pool, org_id, name or org_id)
    print(f"Created {org_id}." if created else f"{org_id} exists already.")


@orgs.command("list")
def list_orgs(as_json: AsJson = False) -> None:
    """List the organisations."""
    with opened_database() as pool, transaction(pool) as connection:
        rows = tenancy.list_orgs(connection)
    print_rows(rows, as_json=as_json)


@orgs.command("revoke")
def revoke_org(org_id: str) -> None:
    """Revoke every key of an organisation."""
    with opened_database() as pool:
        _say_revoked(provisioning.revoke_keys(pool, org_id=org_id, actor=actor()))


@projects.command("create")
def create_project(
    project_id: str,
    org: Annotated[str, typer.Option(help="Id of its organisation.")],
    name: Annotated[str | None, typer.Option(help="For people.")] = None,
) -> None:
    """Create a project."""
    with opened_database() as pool:
        created = provisioning.create_project(pool, project_id, org_id=org, name=name or project_id)
    print(f"Created {project_id}." if created else f"{project_id} exists already.")


@projects.command("list")
def list_projects(
    org: Annotated[str | None, typer.Option(help="Only those of this organisation.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the projects."""
    with opened_database() as pool, transaction(pool) as connection:
        rows = tenancy.list_projects(connection, org)
    print_rows(rows, as_json=as_json)


@projects.command("revoke")
def revoke_project(project_id: str) -> None:
    """Revoke every key of a project."""
    with opened_database() as pool:
        _say_revoked(provisioning.revoke_keys(pool, project_id=project_id, actor=actor()))


@keys.command("create")
def create_key(
    project: Annotated[str, typer.Option(help="Id of the project.")],
    scope: Annotated[
        Scope,
        typer.Option(
            help="ingest sends events; read reads; admin reads and changes rules; "
            "public sends from web pages and apps."
        ),
    ],
    origin: Origins = None,
    allow: Allowed = None,
    rate: Annotated[int | None, typer.Option(min=0, max=10**9, help="Events a second.")] = None,
    quota: Annotated[int | None, typer.Option(min=0, max=10**15, help="Events a UTC day.")] = None,
    as_json: AsJson = False,
) -> None:
    """Create a key and print it, this once; a project may have two valid keys of a scope, 20 of public.

    Without --rate and --quota the defaults hold; 0 is unlimited.
    """
    options = provisioning.KeyOptions(
        events_per_second=rate, events_per_day=quota, origins=origin or (), allowed=allow or ()
    )
    with opened_database() as pool:
        _show_issued(
            provisioning.issue_key(pool, project, scope, options=options, actor=actor()), as_json=as_json
        )


@keys.command("rotate")
def rotate_key(
    project: Annotated[str, typer.Option(help="Id of the project.")],
    scope: Annotated[Scope, typer.Option(help="Of the key to change.")],
    as_json: AsJson = False,
) -> None:
    """Create a key and print it, this once; the oldest of that scope is revoked if there is no room.

    There is room for two keys of a scope, and for 20 of public. The new key has the newest one's properties.
    """
    with opened_database() as pool:
        issued = provisioning.issue_key(pool, project, scope, ending_oldest=True, actor=actor())
    _show_issued(issued, as_json=as_json)


def _show_issued(issued: provisioning.IssuedKey, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"key_id": str(issued.key_id), "scope": issued.scope, "key": issued.text}))
    else:
        print(issued.text)
        typer.echo(f"This is key {issued.key_id}; it cannot be shown again.", err=True)


@keys.command("list")
def list_keys(
    project: Annotated[str | None, typer.Option(help="Only those of this project.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the keys by id; their text is not stored."""
    with opened_database() as pool, transaction(pool) as connection:
        rows = api_keys.list_keys(connection, project)
    print_rows(rows, as_json=as_json)


@keys.command("pages")
def set_pages(key_id: UUID, origin: Origins = None, allow: Allowed = None) -> None:
    """Set for which pages a public key is; without --origin for all. Replicas follow within 60 s."""
    with opened_database() as pool:
        provisioning.set_pages(pool, key_id, origins=origin or (), allowed=allow or (), actor=actor())
    pages, kinds = ", ".join(origin or ["every page"]), ["errors", *(f"{kind}s" for kind in allow or ())]
    print(f"Key {key_id}: {pages}; may send {', '.join(kinds)}.")


@keys.command("limit")
def limit_key(
    key_id: UUID,
    events_per_second: PerSecond = None,
    events_per_day: PerDay = None,
) -> None:
    """Set what a key may send; replicas follow within SIGNALS_KEY_CACHE_S (60 s)."""
    with opened_database() as pool:
        provisioning.limit_key(
            pool,
            key_id,
            events_per_second=events_per_second,
            events_per_day=events_per_day,
            actor=actor(),
        )
    shown = [
        f"{'the default' if limit is None else limit or 'unlimited'} events a {per}"
        for limit, per in ((events_per_second, "second"), (events_per_day, "UTC day"))
    ]
    print(f"Key {key_id}: {', '.join(shown)}.")


@keys.command("revoke")
def revoke_key(key_id: UUID) -> None:
    """Revoke a key by its id; caches may accept it for SIGNALS_KEY_CACHE_S more (60 s)."""
    with opened_database() as pool:
        _say_revoked(provisioning.revoke_keys(pool, key_id=key_id, actor=actor()))


def _say_revoked(count: int) -> None:
    print(f"Revoked {count} key{'' if count == 1 else 's'}.")
    if not count:
        raise typer.Exit(1)
