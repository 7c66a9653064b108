"""Serve's applications: which paths each one answers, and where the console is one of them.

One table for laptop, image and operator. Standard library only: the operator imports this module.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

ConsolePlacement = Literal["core", "own", "none"]
"""Of the pages: in core-api, in an application of their own, or nowhere. YAML reads `off` as a boolean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeApplication:
    """One row: the longest prefix of a path wins. `name` is that of its builder in `serve_apps.app`, too."""

    name: str
    route_prefix: str | None
    deployment: str


APPLICATIONS: Final = (
    ServeApplication(name="ingest", route_prefix="/v1/events", deployment="ingest-api"),
    ServeApplication(name="core", route_prefix="/", deployment="core-api"),
    ServeApplication(name="console", route_prefix="/console", deployment="console"),
    ServeApplication(name="consumers", route_prefix=None, deployment="supervisor"),
)


def running(console: ConsolePlacement) -> tuple[ServeApplication, ...]:
    """Return the applications that run when the console is there."""
    return tuple(row for row in APPLICATIONS if row.name != "console" or console == "own")


def as_configured(row: ServeApplication, console: ConsolePlacement) -> dict[str, Any]:
    """Return an application as Serve's configuration lists it; core-api learns who serves the pages."""
    return {
        "name": row.name,
        "route_prefix": row.route_prefix,
        "import_path": f"serve_apps.app:{row.name}",
        "args": {"console": console} if row.name == "core" and console != "core" else {},
    }


def with_console(config: Mapping[str, Any], console: ConsolePlacement) -> dict[str, Any]:
    """Return a Serve configuration with the console there; what else it says of applications stays."""
    written = {one["name"]: one for one in config["applications"]}
    applications = [(written.get(row.name, {}), as_configured(row, console)) for row in running(console)]
    return {**config, "applications": [{**found, **placed} for found, placed in applications]}
