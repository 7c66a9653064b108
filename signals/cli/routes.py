"""`signals routes`: which incidents a destination gets."""

import json
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.table import Table

from signals.cli.core_client import get, send
from signals.cli.destinations import destination_named
from signals.cli.options import AsJson
from signals.cli.readable import console, plain

PATH = "/v1/routes"

app = typer.Typer(help="Routes: which incidents a destination gets.", no_args_is_help=True)


def register(parent: typer.Typer) -> None:
    """Add the commands."""
    parent.add_typer(app, name="routes")


@app.command("list")
def list_routes(as_json: AsJson = False) -> None:
    """List the routes, oldest first."""
    rows = get(PATH, {})
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    if not rows:
        print("None. Create one: signals routes create DESTINATION")
        return
    names = _names()
    table = Table(
        "destination", "env", "severity", "verdict", "fingerprint", "quiet", box=None, pad_edge=False
    )
    table.add_column("id", no_wrap=True)
    for row in rows:
        quiet = row["quiet"]
        table.add_row(
            names.get(row["destination_id"], "-"),
            ", ".join(row["environments"] or ["all"]),
            f"{row['min_severity']} or worse",
            ", ".join(row["verdicts"]),
            plain(row["fingerprint"] or "*"),
            f"{quiet['begins']}-{quiet['ends']} {quiet['zone']}" if quiet else "-",
            row["id"],
        )
    console().print(table)


@app.command("create")
def create_route(
    destination: Annotated[str, typer.Argument(help="Name of the destination.")],
    env: Annotated[list[str] | None, typer.Option(help="prod, staging or dev; may be repeated.")] = None,
    min_severity: Annotated[str, typer.Option(help="warn, error or critical.")] = "warn",
    verdict: Annotated[
        list[str] | None, typer.Option(help="confirmed (default), unconfirmed, learning; may be repeated.")
    ] = None,
    fingerprint: Annotated[str | None, typer.Option(help="Pattern with * and ?.")] = None,
    quiet: Annotated[
        str | None, typer.Option(help="Quiet hours, like 22:00-07:00; critical passes.", metavar="FROM-TO")
    ] = None,
    time_zone: Annotated[str, typer.Option(help="Of the quiet hours, like Europe/Berlin.")] = "UTC",
) -> None:
    """Tell a destination of the project's incidents that match."""
    body: dict[str, Any] = {
        "destination_id": destination_named(destination)["id"],
        "min_severity": min_severity,
    }
    if env:
        body["environments"] = env
    if verdict:
        body["verdicts"] = verdict
    if fingerprint is not None:
        body["fingerprint"] = fingerprint
    if quiet is not None:
        begins, _, ends = quiet.partition("-")
        body["quiet"] = {"zone": time_zone, "begins": begins, "ends": ends}
    print(f"Created route {send('POST', PATH, body)['id']}.")


@app.command("match")
def match_routes(incident_id: str) -> None:
    """Say of each route whether it tells of an incident, and if not, why."""
    names = _names()
    for row in get(f"/v1/incidents/{quote(incident_id, safe='')}/routes", {}):
        verdict = "tells" if row["matches"] else f"does not tell: {plain(row['reason'])}"
        print(f"{names.get(row['destination_id'], '-')} ({row['route_id']}): {verdict}")


@app.command("delete")
def delete_route(route_id: str) -> None:
    """Delete a route; what was told already is still told when it ends."""
    send("DELETE", f"{PATH}/{quote(route_id, safe='')}")
    print(f"Deleted route {route_id}.")


def _names() -> dict[str, str]:
    return {row["id"]: plain(row["name"]) for row in get("/v1/destinations", {})}
