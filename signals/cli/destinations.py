"""`signals destinations`: where people are notified about incidents."""

import json
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.table import Table

from signals.cli.core_client import get, send
from signals.cli.options import AsJson
from signals.cli.readable import console, moment, plain

PATH = "/v1/destinations"

app = typer.Typer(help="Destinations: where people are notified about incidents.", no_args_is_help=True)

Everything = Annotated[
    bool, typer.Option("--everything", help="Also create the route that tells it of every incident.")
]
Fallback = Annotated[str | None, typer.Option(help="Name of a destination that is told when this one fails.")]


def register(parent: typer.Typer) -> None:
    """Add the commands."""
    parent.add_typer(app, name="destinations")


@app.command("list")
def list_destinations(as_json: AsJson = False) -> None:
    """List the destinations with their states."""
    rows = get(PATH, {})
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    if not rows:
        print("None. Create one: signals destinations create-webhook NAME --url URL")
        return
    table = Table("name", "kind", "where", "state", "last told", "last error", box=None, pad_edge=False)
    for row in rows:
        where = (row["hint"], row["settings"].get("channel"), *row["settings"].get("to", ()))
        table.add_row(
            plain(row["name"]),
            row["kind"],
            plain(", ".join(part for part in where if part)),
            row["state"],
            moment(row["last_told_at"]),
            plain(row["last_error"] or "-"),
        )
    console().print(table)


@app.command("create-webhook")
def create_webhook(
    name: str,
    url: Annotated[str, typer.Option(help="Where to POST signed JSON.")],
    fallback: Fallback = None,
    everything: Everything = False,
) -> None:
    """Create a signed webhook and print its signing key, this once."""
    _create(name, {"kind": "webhook", "url": url}, fallback, everything=everything)


@app.command("create-email")
def create_email(
    name: str,
    to: Annotated[list[str], typer.Option(help="A recipient; may be repeated.")],
    sender: Annotated[str, typer.Option("--from", help="The From address.")],
    host: Annotated[str, typer.Option(help="Your mail server.")],
    port: Annotated[int, typer.Option(min=1, max=65_535)] = 587,
    security: Annotated[str, typer.Option(help="starttls, tls or none.")] = "starttls",
    username: Annotated[str | None, typer.Option(help="The password is asked for.")] = None,
    fallback: Fallback = None,
    everything: Everything = False,
) -> None:
    """Create an e-mail destination."""
    target: dict[str, Any] = {
        "kind": "email",
        "to": to,
        "sender": sender,
        "host": host,
        "port": port,
        "security": security,
    }
    if username is not None:
        password = typer.prompt("Password", hide_input=True, err=True)
        target |= {"username": username, "password": password}
    _create(name, target, fallback, everything=everything)


@app.command("create-slack")
def create_slack(
    name: str,
    channel: Annotated[str, typer.Option(help="Id of the channel, like C0123456789.")],
    token: Annotated[str, typer.Option(prompt="Token of the bot", hide_input=True)] = "",
    fallback: Fallback = None,
    everything: Everything = False,
) -> None:
    """Create a Slack destination: one message an outage, which is edited."""
    target = {"kind": "slack", "channel": channel, "token": token}
    _create(name, target, fallback, everything=everything)


@app.command("create-slack-webhook")
def create_slack_webhook(
    name: str,
    url: Annotated[str, typer.Option(prompt="Address of the webhook", hide_input=True)] = "",
    fallback: Fallback = None,
    everything: Everything = False,
) -> None:
    """Create a destination behind an incoming webhook of Slack, or of a server that takes the same."""
    _create(name, {"kind": "slack_webhook", "url": url}, fallback, everything=everything)


@app.command("create-pagerduty")
def create_pagerduty(
    name: str,
    routing_key: Annotated[str, typer.Option(prompt="Integration key", hide_input=True)] = "",
    api_url: Annotated[str | None, typer.Option(help="Of another region of PagerDuty.")] = None,
    fallback: Fallback = None,
    everything: Everything = False,
) -> None:
    """Create a PagerDuty destination (Events API v2)."""
    target = {"kind": "pagerduty", "routing_key": routing_key}
    _create(name, target | ({"api_url": api_url} if api_url else {}), fallback, everything=everything)


@app.command("create-apprise")
def create_apprise(
    name: str,
    url: Annotated[
        str, typer.Option(prompt="Apprise address, like tgram://TOKEN/CHAT", hide_input=True)
    ] = "",
    fallback: Fallback = None,
    everything: Everything = False,
) -> None:
    """Create a destination at any other service (Telegram, Teams, Discord, ntfy, ...), through Apprise."""
    _create(name, {"kind": "apprise", "url": url}, fallback, everything=everything)


@app.command("test")
def test_destination(name: str) -> None:
    """Send a message that is marked as a test; exit code 1 when it did not arrive."""
    outcome = send("POST", f"{PATH}/{_id_of(name)}/test")
    status = f" ({outcome['status']})" if outcome["status"] else ""
    if outcome["told"]:
        print(f"Told{status}, {outcome['took_ms']} ms.")
        return
    print(f"Not told{status}, {outcome['took_ms']} ms: {plain(outcome['error'])}.")
    raise typer.Exit(1)


@app.command("rotate-key")
def rotate_key(
    name: str,
    signing_key: Annotated[
        list[str], typer.Option(help="The new key, then the old one while receivers still know only that.")
    ],
) -> None:
    """Set the signing keys of a webhook; every one of them signs."""
    send("PATCH", f"{PATH}/{_id_of(name)}", {"target": {"signing_keys": signing_key}})
    print(f"{name} signs with {len(signing_key)} key{'' if len(signing_key) == 1 else 's'}.")


@app.command()
def enable(name: str) -> None:
    """Send to a destination again: it is told what is not resolved, and the end of what it was told."""
    send("PATCH", f"{PATH}/{_id_of(name)}", {"enabled": True})
    print(f"{name} is active.")


@app.command()
def disable(name: str) -> None:
    """Send nothing more to a destination."""
    send("PATCH", f"{PATH}/{_id_of(name)}", {"enabled": False})
    print(f"{name} is disabled.")


@app.command()
def delete(name: str) -> None:
    """Delete a destination with its routes."""
    send("DELETE", f"{PATH}/{_id_of(name)}")
    print(f"Deleted {name}.")


def _create(name: str, target: dict[str, Any], fallback: str | None, *, everything: bool) -> None:
    body: dict[str, Any] = {"name": name, "target": target}
    if fallback is not None:
        body["fallback_id"] = destination_named(fallback)["id"]
    created = send("POST", PATH, body)
    print(f"Created {plain(name)}, {created['destination']['kind']}.")
    if created["signing_key"]:
        print(created["signing_key"])
        typer.echo("This is its signing key; it cannot be shown again.", err=True)
    if everything:
        send("POST", "/v1/routes", {"destination_id": created["destination"]["id"]})
        print("It is notified about every confirmed incident of the project.")
        print(f"Those of its first hour too: signals routes create {name} --verdict learning")
    else:
        print(f"Next: signals destinations test {name}; signals routes create {name}")


def destination_named(name: str) -> Any:
    """Return the destination with this name or id.

    Raises:
        typer.BadParameter: when there is none; the text lists those that there are.
    """
    rows = get(PATH, {})
    for row in rows:
        if name in (row["name"], row["id"]):
            return row
    known = ", ".join(plain(row["name"]) for row in rows) or "none yet"
    raise typer.BadParameter(f"there is no destination {name}; there are: {known}")


def _id_of(name: str) -> str:
    return quote(str(destination_named(name)["id"]), safe="")
