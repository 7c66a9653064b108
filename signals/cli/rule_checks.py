"""`signals rules preview|why-not`: a draft on stored counts, and why no incident opened."""

import json
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from signals.cli.core_client import ask, get
from signals.cli.options import AsJson
from signals.cli.project_rules import RULES, RuleFile, read_rule
from signals.cli.readable import console, moment, plain

SHOWN: Final = 50  # incidents of a table; --json prints all of the answer

SeriesOption = Annotated[
    list[str] | None,
    typer.Option("--series", help="ATTRIBUTE=VALUE of error_code, route or environment; may be repeated."),
]
AskedOption = Annotated[
    list[str] | None,
    typer.Option("--series", help="ATTRIBUTE=VALUE, also of release, method, status_code; may be repeated."),
]


def add_commands(parent: typer.Typer) -> None:
    """Add the commands to those of rules."""
    parent.command("preview")(preview_rule)
    parent.command("why-not")(explain_silence)


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
    since = found["counted_since"] or found["since"]
    judged = f"{found['series']} series from {moment(since)} to {moment(found['until'])}"
    out.print(f"Incidents: {found['total']}, {found['incidents_a_week']:g} a week; judged {judged}.")
    if found["incidents"]:
        out.print(_table(found["incidents"][:SHOWN]))
    if found["total"] > SHOWN:
        out.print(f"These are the first {SHOWN}.")


def explain_silence(
    event: Annotated[str | None, typer.Option("--event", help="Id of an event.")] = None,
    at: Annotated[str | None, typer.Option(help="RFC 3339; with --series, if there is no --event.")] = None,
    series: AskedOption = None,
    event_type: Annotated[str, typer.Option(help="error, or another type.")] = "error",
    as_json: AsJson = False,
) -> None:
    """Show why no incident opened: how near each rule came around an instant, and every blocker."""
    if (event is None) == (at is None):
        raise typer.BadParameter("give --event ID, or --at INSTANT with --series ATTRIBUTE=VALUE")
    of_series = {"at": at, "event_type": event_type, **attributes(series)}
    found = get("/v1/why-not", {"event_id": event} if event else of_series)
    if as_json:
        print(json.dumps(found, indent=2))
        return
    out = console()
    out.print(plain(f"{found['fingerprint'] or 'not counted'}: {found['events']} events counted"))
    out.print(f"from {moment(found['since'])} to {moment(found['until'])}")
    for blocker in found["blockers"]:
        out.print(plain(f"- {blocker['detail']}"))
    for rule in found["rules"]:
        if not (rule["nearest"] or rule["blockers"]):
            out.print(f"\n{rule['name']} ({rule['kind']}): no event of the series to judge")
            continue
        out.print(f"\n{rule['name']} ({rule['kind']}, version {rule['version']})")
        for line in _near_miss(rule["nearest"]):
            out.print(plain(line))
        for blocker in rule["blockers"]:
            out.print(plain(f"- {blocker['detail']}"))


def _near_miss(nearest: dict[str, Any] | None) -> list[str]:
    if nearest is None:
        return []
    state = "fired" if nearest["fires"] else "was nearest"
    lines = [f"{state} at {moment(nearest['at'])}: {nearest['count']} events in {nearest['minutes']} min"]
    return lines + [
        f"  {one['name']}: has {one['have']:g}, needs {one['compared']} {one['need']:g}"
        for one in nearest["conditions"]
    ]


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
