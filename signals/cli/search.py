"""`signals search`: events of the key's project, with what they have in common."""

import json
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from signals.cli.core_client import get
from signals.cli.options import Since, Until, in_query
from signals.cli.readable import console, moment, plain, sparkline

COMPARED: Final = 12  # values shown; guess: what fits below a list


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("search")(search)


def search(
    words: Annotated[
        list[str] | None, typer.Argument(help='Words that must occur, "phrases", prefix*.')
    ] = None,
    filters: Annotated[
        list[str] | None,
        typer.Option("--filter", "-f", help="key:value, like severity:error or status_code:>=500."),
    ] = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
    compare: Annotated[
        bool, typer.Option("--compare", help="Show which values are more usual here than in the rest.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the API's JSON instead.")] = False,
) -> None:
    """Search events, newest first. Give words that begin with a dash after `--`."""
    page = get(
        "/v1/search/events",
        {
            "q": " ".join(words or ()) or None,
            "filters": filters,
            "since": in_query(since),
            "until": in_query(until),
            "limit": limit,
            "include": ["histogram", "facets", *(["comparison"] if compare else [])],
        },
    )
    if as_json:
        print(json.dumps(page, indent=2))
        return
    out = console()
    _print_events(out, page["events"])
    _print_overview(out, page)
    if page["comparison"]:
        _print_comparison(out, page["comparison"])


def _print_events(out: Console, events: list[dict[str, Any]]) -> None:
    table = Table(
        "occurred", "env", "severity", "type", "status", "route", "message", box=None, pad_edge=False
    )
    for event in events:
        attributes = event["attributes"]
        table.add_row(
            moment(event["occurred_at"]),
            event["environment"],
            event["severity"],
            event["event_type"],
            plain(attributes.get("status_code", "-")),
            plain(attributes.get("route", "-")),
            plain(event["message"]),
        )
    if events:
        out.print(table)


def _print_overview(out: Console, page: dict[str, Any]) -> None:
    total = page["total"]
    plural = "" if total["value"] == 1 else "s"
    found = f"{'' if total['exact'] else 'more than '}{total['value']} event{plural}"
    out.print(found if page["complete"] else f"{found} (the search ran out of time)")
    buckets = page["histogram"]["buckets"]
    if not buckets:
        return
    line = sparkline([bucket["count"] for bucket in buckets], width=90)
    out.print(f"{line} from {moment(buckets[0]['at'])}, {page['histogram']['interval']} a column")
    for name, values in page["facets"].items():
        if values:
            out.print(f"{name}: " + ", ".join(f"{plain(v['value'])} {v['count']}" for v in values[:5]))


def _print_comparison(out: Console, comparison: dict[str, Any]) -> None:
    """Print the values that are more usual among the found events, most different first."""
    if not comparison["found"] or not comparison["rest"]:
        out.print("nothing to compare: narrow the search, or widen the span")
        return
    table = Table("more usual here", "here", f"in the other {comparison['rest']}", box=None, pad_edge=False)
    for one in comparison["values"][:COMPARED]:
        table.add_row(
            plain(f"{one['filter']}:{one['value']}"), f"{one['share']:.0%}", f"{one['rest_share']:.0%}"
        )
    out.print(table if comparison["values"] else "no value is more usual here than in the rest")
