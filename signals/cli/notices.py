"""`signals notices`: what destinations were told, or could not be told."""

import json
from typing import Annotated, Any

import typer
from rich.table import Table

from signals.cli.core_client import get
from signals.cli.options import AsJson
from signals.cli.readable import console, moment, plain

SUMMARY = "Notices: what destinations were told, or could not be told."

app = typer.Typer(help=SUMMARY, no_args_is_help=True)

WORDS = {"queued": "waits", "running": "is being sent", "succeeded": "told", "failed": "given up"}


def register(parent: typer.Typer) -> None:
    """Add the commands."""
    parent.add_typer(app, name="notices")


@app.command("list")
def list_notices(
    failed: Annotated[bool, typer.Option("--failed", help="Only what was given up.")] = False,
    incident: Annotated[str | None, typer.Option(help="Only about this incident.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
    as_json: AsJson = False,
) -> None:
    """List the newest messages of the key's project."""
    status = "failed" if failed else None
    rows = get("/v1/notices", {"status": status, "incident_id": incident, "limit": limit})
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    if not rows:
        print("None.")
        return
    table = Table("changed", "destination", "state", "sent", "about", "last error", box=None, pad_edge=False)
    for row in rows:
        ids = row["incident_ids"]
        about = f"storm of {len(ids)} or more incidents" if row["is_storm"] else next(iter(ids), "-")
        table.add_row(
            moment(row["updated_at"]),
            plain(row["destination"]),
            "nothing to tell" if is_silent(row) else WORDS[row["status"]],
            str(row["sends"]),
            about,
            plain(row["last_error"] or "-"),
        )
    console().print(table)


def is_silent(row: dict[str, Any]) -> bool:
    """Whether a message is done without a word: snoozed, or over before anybody was called."""
    return bool(row["status"] == "succeeded" and row["sends"] == 0)
