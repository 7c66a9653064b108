"""`signals deploys list|show`: deploys that were reported, and what each changed."""

import json
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer
from rich.console import Console
from rich.table import Table

from signals.cli.core_client import get
from signals.cli.options import AsJson
from signals.cli.readable import console, moment, plain, sparkline

CHART_WIDTH: Final = 60

deploys = typer.Typer(help="Read deploys.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(deploys, name="deploys")


@deploys.command("list")
def list_deploys(
    env: Annotated[str | None, typer.Option(help="prod, staging or dev.")] = None,
    service: Annotated[str | None, typer.Option(help="Deploys of this service only.")] = None,
    since: Annotated[str | None, typer.Option(help="RFC 3339; deploys since then.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
    as_json: AsJson = False,
) -> None:
    """List the newest deploys of the key's project."""
    page = get("/v1/deploys", {"env": env, "service": service, "since": since, "limit": limit})
    if as_json:
        print(json.dumps(page, indent=2))
        return
    table = Table("at", "env", "service", "release", "status", "by", box=None, pad_edge=False)
    table.add_column("id", no_wrap=True)
    for row in page["deploys"]:
        texts = (row["service"], row["release"], row["status"], row["by_whom"])
        shown = [plain(text or "-") for text in texts]
        table.add_row(moment(row["occurred_at"]), row["environment"], *shown, row["id"])
    out = console()
    out.print(table if page["deploys"] else "No deploys.")
    if page["next_cursor"]:
        out.print(f"There are more; raise --limit above {limit} or narrow with --since.")


@deploys.command("show")
def show_deploy(deploy_id: str, as_json: AsJson = False) -> None:
    """Show one deploy: errors and signups before and after, and the incidents that began after it."""
    detail = get(f"/v1/deploys/{quote(deploy_id, safe='')}", {})
    if as_json:
        print(json.dumps(detail, indent=2))
        return
    out = console()
    deploy = detail["deploy"]
    of_service = f" of {plain(deploy['service'])}" if deploy["service"] else ""
    release, previous = plain(deploy["release"] or "an unnamed release"), deploy["previous"]
    status, at = deploy["status"], moment(deploy["occurred_at"])
    out.print(f"{release}{of_service} to {deploy['environment']}, {status}, {at}")
    for name, value in (("before it", previous), ("by", deploy["by_whom"]), ("link", deploy["link"])):
        if value:
            out.print(f"{name}: {plain(value)}")
    _print_counts(out, detail)
    _print_failures(out, detail["failures"])
    for incident in detail["incidents"]:
        out.print(
            f"incident {incident['id']}, opened {moment(incident['opened_at'])}: {plain(incident['title'])}"
        )
    if not detail["incidents"]:
        out.print("No incident began in the hour after it.")


def _print_counts(out: Console, detail: dict[str, Any]) -> None:
    before, after = detail["minutes_before"], detail["minutes_after"]
    for name in ("errors", "signups"):
        counts = detail[name]
        out.print(
            f"{name}: {counts['before']} in the {before} minutes before, {counts['after']} in {after} after"
        )
        out.print(sparkline([minute["count"] for minute in counts["minutes"]], width=CHART_WIDTH))


def _print_failures(out: Console, failures: list[dict[str, Any]]) -> None:
    for row in failures:
        if row["after"] > row["before"]:
            first_seen = ", first seen after it" if row["is_new"] else ""
            out.print(
                f"  {plain(row['fingerprint'])}: {row['before']} before, {row['after']} after{first_seen}"
            )
