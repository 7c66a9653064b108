"""`signals rules preview`: a draft rule, tried on the stored counts of a running product."""

import json
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from signals.cli.core_client import ask
from signals.cli.options import AsJson
from signals.cli.project_rules import RULES, RuleFile, read_rule
from signals.cli.readable import console, moment, plain

SHOWN: Final = 50  # incidents of a table; --json prints all of the answer

SeriesOption = Annotated[
    list[str] | None,
    typer.Option("--series", help="ATTRIBUTE=VALUE of error_code, route or environment; may be repeated."),
]


def add_commands(parent: typer.Typer) -> None:
    """Add the commands to those of rules."""
    parent.command("preview")(preview_rule)


def preview_rule(
    file: RuleFile,
    series: SeriesOption = None,
    until: Annotated[
        str | None, typer.Option(help="RFC 3339; end of the fortnight, now if left out.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the incidents that a rule would have opened in the last 14 days; nothing is stored."""
    body = {"rule": read_rule(file), "series": attributes(series)} | ({"until": until} if until else {})
    found = ask("POST", f"{RULES}/preview", body=body).body
    if as_json:
        print(json.dumps(found, indent=2))
        return
    out = console()
    for one in found["missing"]:
        out.print(plain(f"Missing: {one}."))
    judged = f"{found['series']} series from {moment(found['since'])} to {moment(found['until'])}"
    out.print(f"Incidents: {found['total']}, {found['incidents_a_week']:g} a week; judged {judged}.")
    if found["incidents"]:
        out.print(_table(found["incidents"][:SHOWN]))
    if found["total"] > SHOWN:
        out.print(f"These are the first {SHOWN}.")


def attributes(series: list[str] | None) -> dict[str, str]:
    """Read ATTRIBUTE=VALUE options.

    Raises:
        typer.BadParameter: for one without an equals sign.
    """
    pairs = [one.partition("=") for one in series or ()]
    if wrong := next((name for name, equals, _ in pairs if not equals), None):
        raise typer.BadParameter(f"write {wrong!r} as ATTRIBUTE=VALUE, like route=/checkout")
    return {name: value for name, _, value in pairs}


def _table(incidents: list[dict[str, Any]]) -> Table:
    table = Table("opened", "resolved", "verdict", "events", "usual", "series", box=None, pad_edge=False)
    for one in incidents:
        table.add_row(
            moment(one["opened_at"]),
            moment(one["resolved_at"]) if one["resolved_at"] else "open",
            one["verdict"],
            f"{one['count']} in {one['minutes']} min",
            "new" if one["usual"] is None else f"{one['usual']:g}",
            plain(" ".join(f"{name}={value}" for name, value in one["series"].items())),
        )
    return table
