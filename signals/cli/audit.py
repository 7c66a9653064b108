"""`signals audit`: who changed keys, destinations, routes, rules, maintenance, opt-ins and people."""

import json
from typing import Annotated, Any

import typer
from rich.table import Table

from signals.cli.core_client import AUDIT_PATH, ask
from signals.cli.options import AsJson
from signals.cli.readable import console, moment, plain

app = typer.Typer(help="Audit: who changed keys, rules, destinations and people.", no_args_is_help=True)


def register(parent: typer.Typer) -> None:
    """Add the commands."""
    parent.add_typer(app, name="audit")


@app.command("list")
def list_audit(
    target: Annotated[str | None, typer.Option(help="One object, like rule:error-spike.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
    as_json: AsJson = False,
) -> None:
    """List the newest changes; needs the admin key."""
    rows = ask("GET", AUDIT_PATH, parameters={"target": target, "limit": limit}).body
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    table = Table("at", "by", "change", "object", "now", box=None, pad_edge=False)
    for row in rows:
        by = plain(row["person"] or row["actor"])
        table.add_row(moment(row["at"]), by, plain(row["verb"]), plain(row["target"]), _now(row["detail"]))
    console().print(table if rows else "None.")


def _now(detail: dict[str, Any]) -> str:
    """Return what changed in a line; all of it is in the JSON."""
    before, after = detail.get("before") or {}, detail.get("after") or {}
    changed = {name: value for name, value in after.items() if before.get(name) != value}
    return ", ".join(f"{plain(name)} {plain(json.dumps(value))}" for name, value in changed.items()) or "-"
