"""The everyday work: `signals incidents|outages ack|assign|comment|snooze ...`, the same verbs for both."""

import json
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

import typer
from rich.table import Table

from signals.cli.core_client import get, send
from signals.cli.options import AsJson, For, UntilThen, instant_after
from signals.cli.readable import console, moment, plain

Kind = Literal["incidents", "outages"]
DEFAULT_SNOOZE: Final = timedelta(hours=24)  # guess: until the next working day
LATEST: Final = "latest"
Name = Annotated[str, typer.Argument(metavar="ID", help="The id, its first digits, or latest.")]

AllNames = Annotated[
    list[str], typer.Argument(metavar="ID...", help="Ids, their first digits, or latest; 100 at most.")
]


def path_of(kind: Kind, name: str, *parts: str) -> str:
    """Return the path of what people name."""
    return "/".join((f"/v1/{kind}", quote(name, safe=""), *parts))


def outage_path(kind: Kind, name: str, *parts: str) -> str:
    """Return a path below the outage that is named, or that the named incident belongs to."""
    if kind == "incidents" and name == LATEST:
        name = _latest_incident()
    return path_of("outages", name, *parts)


def add_work(app: typer.Typer, kind: Kind) -> None:
    """Add the verbs to a group of commands."""
    one = kind[:-1]

    @app.command("ack", help=f"Say that you are on it: the {one}'s status becomes investigating.")
    def acknowledge(names: AllNames) -> None:
        _set_status(kind, names, "investigating")

    @app.command("assign", help="Say who works on the outage; --unassign takes it back.")
    def assign(
        name: Name,
        assignee: Annotated[str | None, typer.Argument(help="A name or mail address.")] = None,
        unassign: Annotated[bool, typer.Option("--unassign", help="Take it back.")] = False,
    ) -> None:
        if (assignee is None) != unassign:
            raise typer.BadParameter("give a name, or --unassign")
        outage = send("PUT", outage_path(kind, name, "assignee"), {"assignee": assignee})["outage"]
        who = f"assigned to {plain(outage['assignee'])}" if outage["assignee"] else "not assigned"
        print(f"Outage {outage['id']}: {who}.")

    @app.command("comment", help="Add a comment to the outage's timeline.")
    def comment(name: Name, text: str) -> None:
        changes = send("POST", outage_path(kind, name, "comments"), {"text": text})
        print(f"Comment added; the timeline has {len(changes)} changes.")

    @app.command("snooze", help="Hold the outage's messages for a time. A worse severity wakes it always.")
    def snooze(
        name: Name,
        length: For = None,
        until: UntilThen = None,
        events: Annotated[
            int | None, typer.Option(min=1, help="Wake it earlier, after so many more events.")
        ] = None,
    ) -> None:
        body: dict[str, Any] = {"until": instant_after(length, until, otherwise=DEFAULT_SNOOZE)}
        if events is not None:
            body["events"] = events
        outage = send("PUT", outage_path(kind, name, "snooze"), body)["outage"]
        more = f", {events} more events" if events else ""
        print(f"Outage {outage['id']}: snoozed until {moment(outage['snoozed_until'])}{more} or worse.")

    @app.command("wake", help="End the snooze.")
    def wake(name: Name) -> None:
        outage = send("DELETE", outage_path(kind, name, "snooze"))["outage"]
        print(f"Outage {outage['id']}: not snoozed.")


def change_all(kind: Kind, names: list[str], status: str) -> None:
    """Set the status of several; print one line each. Raises typer.Exit(1) when one was refused."""
    body = {"status": status, "items": [{"id": name} for name in names]}
    outcomes = send("PATCH", f"/v1/{kind}", body)["items"]
    for one in outcomes:
        became = status if one["status"] == HTTPStatus.OK else f"not changed. {one['detail']}"
        print(f"{kind[:-1].capitalize()} {plain(one['id'])}: {became}")
    if any(one["status"] != HTTPStatus.OK for one in outcomes):
        raise typer.Exit(1)


def add_status_verbs(app: typer.Typer, kind: Kind) -> None:
    """Add `resolve` and `reopen`, where a group has none of its own."""
    one = kind[:-1]

    @app.command("resolve", help=f"Resolve the {one}, or several.")
    def resolve(names: AllNames) -> None:
        _set_status(kind, names, "resolved")

    @app.command("reopen", help=f"Open the resolved {one} again, or several.")
    def reopen(names: AllNames) -> None:
        _set_status(kind, names, "open")


def add_grouping(app: typer.Typer, kind: Kind) -> None:
    """Add `merge` and `split` to a group of commands; an incident stands for its outage."""

    @app.command("merge", help="Move all incidents of an outage to another one; both are ten minutes old.")
    def merge(
        name: Name,
        into: Annotated[str, typer.Argument(metavar="INTO", help="The outage that takes them.")],
    ) -> None:
        if kind == "incidents" and into == LATEST:
            into = _latest_incident()
        outage = send("POST", outage_path(kind, name, "merge"), {"into": into})["outage"]
        print(f"Outage {outage['id']}: {outage['incidents']} incidents.")

    if kind == "incidents":

        @app.command("split", help="Move the incident's series to a new outage; later incidents follow it.")
        def split(name: Name) -> None:
            incident = _latest_incident() if name == LATEST else name
            _split(incident, incident)

    else:

        @app.command("split", help="Move a series of an outage to a new one; later incidents follow it.")
        def split_outage(
            name: Name,
            incident: Annotated[str, typer.Argument(metavar="INCIDENT", help="One of the series.")],
        ) -> None:
            _split(name, incident)


def _split(outage: str, incident: str) -> None:
    """Split an outage, which one of its incidents may stand for."""
    found = send("POST", path_of("outages", outage, "split"), {"incident": incident})["outage"]
    print(f"Outage {found['id']}: {found['incidents']} incidents.")


def _latest_incident() -> str:
    """Return the id of the newest incident."""
    return str(get(path_of("incidents", LATEST), {})["incident"]["id"])


def add_feedback(app: typer.Typer, kind: Kind) -> None:
    """Add `feedback` to a group of commands; an outage's summary is that of its first incident."""
    one = kind[:-1]

    @app.command("feedback", help=f"Say whether the {one}'s summary was useful, and what it really was.")
    def give_feedback(
        name: Name,
        useful: Annotated[bool, typer.Option("--useful/--not-useful", help="Was the summary useful?")],
        cause: Annotated[str | None, typer.Option(help="What it really was, in your words.")] = None,
        facts: Annotated[
            list[str] | None,
            typer.Option("--fact", help="A word that a right cause names, like a release; may be repeated."),
        ] = None,
        invisible: Annotated[bool, typer.Option("--not-visible", help="No event shows the cause.")] = False,
        version: Annotated[int | None, typer.Option(min=1, help="Of the summary; the newest else.")] = None,
    ) -> None:
        said = {"useful": useful, "cause": cause, "facts": facts or [], "is_visible": not invisible}
        rows = send("POST", path_of(kind, name, "feedback"), {**said, "version": version})
        answers = "1 answer" if len(rows) == 1 else f"{len(rows)} answers"
        console().print(f"Stored for version {rows[0]['version']}; {answers} on this {one}.")


def print_timeline(changes: list[dict[str, Any]], *, as_json: bool) -> None:
    """Print changes as a table: when, what, by whom, and what is so now."""
    if as_json:
        print(json.dumps(changes, indent=2))
        return
    table = Table("#", "at", "change", "by", "now", box=None, pad_edge=False)
    for number, change in enumerate(changes, 1):
        now = ", ".join(f"{name} {plain(value)}" for name, value in change["detail"].items())
        table.add_row(str(number), moment(change["at"]), change["kind"], plain(change["actor"]), now)
    console().print(table)


def add_outage_timeline(app: typer.Typer) -> None:
    """Add `timeline` to the outages' commands."""

    @app.command("timeline", help="Show what happened to an outage and its incidents, when, and by whom.")
    def timeline(name: Name, as_json: AsJson = False) -> None:
        print_timeline(get(path_of("outages", name, "timeline"), {}), as_json=as_json)


def _set_status(kind: Kind, names: list[str], status: str) -> None:
    if len(names) > 1:
        change_all(kind, names, status)
        return
    detail = send("PATCH", path_of(kind, names[0]), {"status": status})
    found = detail[kind[:-1]]
    print(f"{kind[:-1].capitalize()} {found['id']}: {found['status']}.")
