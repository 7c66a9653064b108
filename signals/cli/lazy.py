"""Loads a command's module when the command runs: help and quick commands stay light."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "demo": ("demo", "Start everything, send a bad deploy, show its incident with the cause."),
    "up": ("up", "Start servers, Ray, both APIs and all actors in the background."),
    "down": ("up", "Stop everything that `signals up` started; data stays."),
    "status": ("status", "Show servers, deployments, actors with their lag, and jobs."),
    "outages": ("outages", "Read outages and work on them: incidents with one cause."),
    "incidents": ("incidents", "Read incidents and work on them."),
    "deploys": ("deploys", "Read deploys, and what each changed."),
    "destinations": ("destinations", "Destinations: where people are notified about incidents."),
    "routes": ("routes", "Routes: which incidents a destination gets."),
    "notices": ("notices", "Notices: what destinations were told, or could not be told."),
    "maintenance": ("maintenance", "Maintenance windows, in which messages wait."),
    "notify": ("notify", "Try notifications on this machine."),
    "rules": (
        "rules",
        "Rules: what opens an incident. Read, change, preview, or try them on your own history.",
    ),
    "search": ("search", "Search events."),
    "ai": ("ai", "How good summaries are: on cases, and in what people say."),
    "doors": ("doors", "Print what to paste into Sentry, OpenTelemetry, Segment and CI to send here."),
    "deploy": (
        "deploy",
        "Report a deploy from CI, so that incidents name the release. It may be repeated.",
    ),
    "ledger": ("ledger", "Account for every accepted event; exit code 1 when one is missing."),
    "dlq": ("dlq", "Dead letters: records that no stage could handle."),
    "orgs": ("tenancy", "Organisations."),
    "projects": ("tenancy", "Projects; events and incidents belong to one."),
    "keys": ("tenancy", "API keys; a key is printed once, when it is created."),
    "secrets": ("secrets", "Keys that seal the secrets of destinations."),
    "audit": ("audit", "Audit: who changed keys, rules, destinations and people."),
    "users": ("users", "People who may open the console."),
    "preflight": ("preflight", "Check your own servers before the product starts."),
    "prepare": ("up", "Bring schema, topics and index of your own servers up to date."),
    "migrate": ("up", "Bring the schema of DATABASE_URL up to date."),
    "stack": ("stack", "PostgreSQL, Kafka and OpenSearch on this machine."),
}
"""Name: (module below `signals.cli` that registers it, one line of help), in the order of `--help`."""


class LazyCommand(TyperCommand):
    """Stands for a command in the list; becomes the real one when it is to run."""

    def __init__(self, name: str, module: str, summary: str) -> None:
        super().__init__(name, help=summary)
        self.module = module

    def load(self) -> Any:
        """Import the module and return the command itself."""
        found = commands_of(self.module)[str(self.name)]
        found.name = self.name
        return found

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Parse with the real command, so that its own help and errors show."""
        return self.load().make_context(info_name, args, parent, **extra)


class LazyGroup(TyperGroup):
    """The `signals` command: its subcommands are known by name and one line until one is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names in the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> LazyCommand | None:
        """Return the command that stands for the name, or None."""
        if cmd_name not in COMMANDS:
            return None
        return LazyCommand(cmd_name, *COMMANDS[cmd_name])


def commands_of(module: str) -> dict[str, Any]:
    """Return the commands that a module below `signals.cli` registers, by name."""
    app = typer.Typer(add_completion=False)
    import_module(f"signals.cli.{module}").register(app)
    app.callback()(_keep_a_group)
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    return dict(group.commands)


def complete_app() -> typer.Typer:
    """Return an application with every command loaded: for the reference pages and inventories of names."""
    app = typer.Typer(name="signals", add_completion=False)
    for module in dict.fromkeys(module for module, _ in COMMANDS.values()):
        import_module(f"signals.cli.{module}").register(app)
    return app


def _keep_a_group() -> None:
    """Typer turns an application with one command and no callback into that command."""
