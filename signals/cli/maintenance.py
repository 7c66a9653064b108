"""`signals maintenance`: windows in which messages wait, while counting goes on."""

import json
from datetime import timedelta
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer
from rich.table import Table

from signals.cli.core_client import get, send
from signals.cli.options import AsJson, For, UntilThen, instant_after
from signals.cli.readable import console, moment, plain

PATH: Final = "/v1/maintenance"
DEFAULT_LENGTH: Final = timedelta(minutes=30)  # guess: a deploy with its checks

app = typer.Typer(help="Maintenance windows, in which messages wait.", no_args_is_help=True)


def register(parent: typer.Typer) -> None:
    """Add the commands."""
    parent.add_typer(app, name="maintenance")


@app.command("start")
def start(
    length: For = None,
    until: UntilThen = None,
    env: Annotated[str | None, typer.Option(help="prod, staging or dev; left out: all.")] = None,
    fingerprint: Annotated[str | None, typer.Option(help="Pattern with * and ?; left out: all.")] = None,
    reason: Annotated[str, typer.Option(help="Why, for the people who look for messages.")] = "maintenance",
) -> None:
    """Hold messages about incidents, for 30 minutes if you say nothing else; counting goes on."""
    body: dict[str, Any] = {
        "ends_at": instant_after(length, until, otherwise=DEFAULT_LENGTH),
        "reason": reason,
    }
    if env is not None:
        body["environment"] = env
    if fingerprint is not None:
        body["fingerprint"] = fingerprint
    window = send("POST", PATH, body)
    print(f"Messages wait until {moment(window['ends_at'])}. End it: signals maintenance end {window['id']}")


@app.command("list")
def list_windows(as_json: AsJson = False) -> None:
    """List the windows that have not ended."""
    rows = get(PATH, {})
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    if not rows:
        print("None.")
        return
    table = Table("begins", "ends", "env", "fingerprint", "reason", box=None, pad_edge=False)
    table.add_column("id", no_wrap=True)
    for row in rows:
        table.add_row(
            moment(row["starts_at"]),
            moment(row["ends_at"]),
            row["environment"] or "all",
            plain(row["fingerprint"] or "*"),
            plain(row["reason"]),
            row["id"],
        )
    console().print(table)


@app.command("end")
def end(
    window_id: Annotated[str | None, typer.Argument(help="Left out: the only one that goes on.")] = None,
) -> None:
    """End a window now; people are notified about what is not resolved."""
    if window_id is None:
        active = [row["id"] for row in get(PATH, {}) if row["is_active"]]
        if len(active) != 1:
            going_on = f"{len(active)} windows go on; name one" if active else "no window goes on"
            raise typer.BadParameter(f"{going_on} (signals maintenance list)")
        window_id = active[0]
    send("DELETE", f"{PATH}/{quote(window_id, safe='')}")
    print(f"Ended {window_id}.")
