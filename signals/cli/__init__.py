"""The `signals` command."""

import sys

import typer

from signals.cli.lazy import LazyGroup
from signals.errors import DependencyUnavailable, SettingsError
from signals.local.errors import LocalStackError

app = typer.Typer(
    name="signals",
    cls=LazyGroup,
    help="Customer Signals Copilot: events in, one incident per outage out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def signals() -> None:
    """Customer Signals Copilot: events in, one incident per outage out."""


def main() -> None:
    """Run the command; an expected failure is one sentence and exit code 1."""
    try:
        app()
    except (LocalStackError, DependencyUnavailable, SettingsError) as error:
        print(f"signals: {error}", file=sys.stderr)
        sys.exit(1)
