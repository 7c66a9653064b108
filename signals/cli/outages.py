"""`signals outages list|show|resolve|reopen`: incidents with one cause, as people are notified about them."""

import json
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from signals.cli.core_client import ask, get
from signals.cli.incidents import print_chart, print_summary
from signals.cli.options import AsJson, Since, in_query
from signals.cli.outage_work import (
    AllNames,
    Name,
    add_feedback,
    add_grouping,
    add_outage_timeline,
    add_work,
    change_all,
    path_of,
)
from signals.cli.readable import console, moment, plain

INCIDENTS_SHOWN: Final = 20

outages = typer.Typer(help="Read outages and work on them.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(outages, name="outages")


add_work(outages, "outages")
add_outage_timeline(outages)
add_grouping(outages, "outages")
add_feedback(outages, "outages")


@outages.command("list")
def list_outages(
    env: Annotated[str | None, typer.Option(help="prod, staging or dev.")] = None,
    status: Annotated[str | None, typer.Option(help="open, investigating, resolved or unresolved.")] = None,
    severity: Annotated[str | None, typer.Option(help="warn, error or critical.")] = None,
    verdict: Annotated[str, typer.Option(help="confirmed, unconfirmed, learning or any.")] = "confirmed",
    since: Since = None,
    assignee: Annotated[str | None, typer.Option(help="Those of one person.")] = None,
    text: Annotated[str | None, typer.Option(help="In the title or a fingerprint.")] = None,
    sort: Annotated[str, typer.Option(help="opened, last_seen or severity.")] = "opened",
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
    as_json: AsJson = False,
) -> None:
    """List outages of the key's project: confirmed ones, unless --verdict says otherwise."""
    filters = {"env": env, "status": status, "severity": severity, "verdict": verdict, "limit": limit}
    filters["sort"] = sort
    page = get("/v1/outages", {**filters, "assignee": assignee, "text": text, "since": in_query(since)})
    if as_json:
        print(json.dumps(page, indent=2))
        return
    table = Table("opened", "status", "severity", "verdict", "incidents", "title", box=None, pad_edge=False)
    table.add_column("id", no_wrap=True)
    for row in page["outages"]:
        table.add_row(
            moment(row["opened_at"]),
            row["status"],
            row["severity"],
            row["verdict"],
            str(row["incidents"]),
            plain(row["title"]),
            row["id"],
        )
    out = console()
    out.print(table if page["outages"] else f"No outages (verdict {plain(verdict)}).")
    if not page["outages"] and verdict != "any":
        out.print("Doubtful ones, and those of a project's first hour: signals outages list --verdict any")
    if page["next_cursor"]:
        out.print(f"There are more; raise --limit above {limit} or narrow with --since.")


@outages.command("show")
def show_outage(outage_id: Name, as_json: AsJson = False) -> None:
    """Show one outage: its cause, its incidents, their chart, the summary."""
    _show(get(path_of("outages", outage_id), {}), as_json=as_json)


@outages.command("resolve")
def resolve_outage(outage_ids: AllNames, as_json: AsJson = False) -> None:
    """Resolve an outage and its incidents, or several; a return within 5 minutes opens it again."""
    _change(outage_ids, "resolved", as_json=as_json)


@outages.command("reopen")
def reopen_outage(outage_ids: AllNames, as_json: AsJson = False) -> None:
    """Open a resolved outage again, or several, with the incidents that ended with it."""
    _change(outage_ids, "open", as_json=as_json)


def _change(outage_ids: list[str], status: str, *, as_json: bool) -> None:
    """Set the status; one outage is shown, of several one line each."""
    if len(outage_ids) > 1:
        change_all("outages", outage_ids, status)
        return
    _show(ask("PATCH", path_of("outages", outage_ids[0]), body={"status": status}).body, as_json=as_json)


def _show(detail: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(detail, indent=2))
        return
    out = console()
    _print_head(out, detail["outage"], detail["why"]["explanation"])
    print_chart(out, detail["chart"])
    print_summary(out, detail["summary"], detail["ai_jobs"])
    _print_incidents(out, detail["outage"]["incidents"], detail["incidents"])


def _print_head(out: Console, outage: dict[str, Any], explanation: str) -> None:
    out.print(Text(plain(outage["title"]), style="bold"))
    places = ", ".join(outage["environments"])
    out.print(f"{outage['status']}, {outage['severity']}, {outage['verdict']}, {places}, {outage['id']}")
    out.print(plain(explanation))
    if outage["assignee"]:
        out.print(f"assigned to {plain(outage['assignee'])}")
    if outage["snoozed_until"]:
        out.print(f"snoozed until {moment(outage['snoozed_until'])}")
    ended = f", resolved {moment(outage['resolved_at'])}" if outage["resolved_at"] else ""
    because = f" ({outage['resolve_reason'].replace('_', ' ')})" if outage["resolve_reason"] else ""
    seen = moment(outage["last_seen_at"])
    out.print(f"opened {moment(outage['opened_at'])}, last seen {seen}{ended}{because}")
    if outage["reopened"]:
        out.print("came back " + ("once" if outage["reopened"] == 1 else f"{outage['reopened']} times"))
    if outage["regression_of"]:
        out.print(f"the same series failed before: outage {outage['regression_of']}")


def _print_incidents(out: Console, total: int, incidents: list[dict[str, Any]]) -> None:
    out.print(f"\n{min(len(incidents), INCIDENTS_SHOWN)} of {total} incidents")
    for incident in incidents[:INCIDENTS_SHOWN]:
        opened = moment(incident["opened_at"])
        out.print(f"  {opened} {incident['status']} {plain(incident['title'])} {incident['id']}")
