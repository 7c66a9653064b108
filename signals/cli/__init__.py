"""The `signals` command."""

import sys
from typing import Annotated

import typer

from signals.cli.lazy import LazyGroup
from signals.errors import DependencyUnavailable, MigrationFailed, SettingsError
from signals.local.errors import LocalStackError

app = typer.Typer(
    name="signals",
    cls=LazyGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(version("customer-signals-copilot"))
        raise typer.Exit


@app.callback()
def signals(
    show_version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
) -> None:
    """Customer Signals Copilot: events in, one incident per outage out."""


def main() -> None:
    """Run the command; an expected failure is one sentence and exit code 1."""
    try:
        app()
    except (LocalStackError, DependencyUnavailable, MigrationFailed, SettingsError) as error:
        print(f"signals: {error}", file=sys.stderr)
        sys.exit(1)
