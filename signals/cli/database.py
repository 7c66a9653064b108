"""The database behind commands that manage tenants, and their rows as a table."""

import getpass
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from typing import Any

import typer
from psycopg_pool import ConnectionPool
from rich.table import Table

from signals.cli.core_client import load_environment
from signals.cli.readable import console, moment, plain
from signals.clients.postgres import Connection, open_pool
from signals.services.access import provisioning
from signals.services.events.project_doors import DoorSettingsRefused
from signals.settings import PostgresSettings


@contextmanager
def opened_database() -> Iterator[ConnectionPool[Connection]]:
    """Open the database of the environment; a refusal is one sentence and exit code 1."""
    load_environment()
    try:
        with open_pool(PostgresSettings.from_env(), size=1) as pool:
            yield pool
    except (provisioning.ProvisioningRefused, DoorSettingsRefused) as error:
        typer.echo(f"signals: {error}", err=True)
        raise typer.Exit(1) from error


def print_rows(rows: Sequence[Any], *, as_json: bool) -> None:
    """Print rows of one dataclass as a table, its fields as columns."""
    if as_json:
        print(json.dumps([asdict(row) for row in rows], default=str, indent=2))
        return
    if not rows:
        print("None.")
        return
    names = [column.name for column in fields(rows[0])]
    table = Table(*names, box=None, pad_edge=False)
    for row in rows:
        values = ((name, getattr(row, name)) for name in names)
        table.add_row(*(moment(value) if name.endswith("_at") else plain(value) for name, value in values))
    console().print(table)


def actor() -> str:
    """Return the account that runs the command, as the audit names it."""
    try:
        return f"cli:{getpass.getuser()}"
    except (OSError, KeyError):  # a container's user may have no name
        return f"cli:{os.getuid()}"
