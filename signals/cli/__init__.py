"""The `signals` command."""

import sys

import typer

from signals.cli import demo, dlq, incidents, ledger, preflight, search, stack, status, tenancy, up
from signals.errors import DependencyUnavailable, SettingsError
from signals.local.errors import LocalStackError

app = typer.Typer(
    name="signals",
    help="Customer Signals Copilot: events in, one incident per outage out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for commands in (demo, up, preflight, status, incidents, search, ledger, dlq, tenancy):
    commands.register(app)
app.add_typer(stack.app)


def main() -> None:
    """Run the command; an expected failure is one sentence and exit code 1."""
    try:
        app()
    except (LocalStackError, DependencyUnavailable, SettingsError) as error:
        print(f"signals: {error}", file=sys.stderr)
        sys.exit(1)
