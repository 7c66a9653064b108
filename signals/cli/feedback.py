"""`signals ai feedback` and `signals ai cases`: what people say of summaries, and cases made of it."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from signals.cases.own import case_events, case_truth
from signals.cli.core_client import get
from signals.cli.options import AsJson, Since, in_query
from signals.cli.readable import console, moment, plain
from signals.domain.summary.feedback import labelled_cause
from signals.errors import SettingsError

BEFORE: Final = timedelta(minutes=75)  # a baseline hour, a window, and some minutes of a slow rule
AFTER: Final = timedelta(minutes=5)
MAX_EVENTS: Final = 50_000
PAGE: Final = 200

feedback = typer.Typer(help="What people say of summaries.", no_args_is_help=True)
cases = typer.Typer(help="Labelled cases of your own incidents.", no_args_is_help=True)


@feedback.command("list")
def list_feedback(
    since: Since = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
    as_json: AsJson = False,
) -> None:
    """List the newest feedback on the project's summaries."""
    rows = get("/v1/feedback", {"since": in_query(since), "limit": limit})
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    table = Table("at", "useful", "rule", "model", "prompt", "it was", box=None, pad_edge=False)
    table.add_column("incident", no_wrap=True)
    for row in rows:
        said = row["cause"] or ", ".join(row["facts"]) or ("-" if row["is_visible"] else "not visible")
        kind = (row["rule"] or "-", row["model"], row["prompt"] or "-", said)
        useful = "yes" if row["useful"] else "no"
        table.add_row(moment(row["given_at"]), useful, *map(plain, kind), row["incident_id"])
    console().print(table if rows else "No feedback yet: signals incidents feedback")


@feedback.command("precision")
def show_precision(since: Since = None, as_json: AsJson = False) -> None:
    """Show how often summaries are useful, by rule, model and version of the prompt."""
    rows = get("/v1/feedback/precision", {"since": in_query(since)})
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    columns = ("rule", "model", "prompt", "answers", "useful", "precision", "95 % interval")
    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        share = row["precision"]
        table.add_row(
            *map(plain, (row["rule"] or "-", row["model"], row["prompt"] or "-")),
            str(row["answers"]),
            str(row["useful"]),
            f"{share['value']:.2f}",
            f"{share['low']:.2f} to {share['high']:.2f}",
        )
    console().print(table if rows else "No feedback yet: signals incidents feedback")


@cases.command("export")
def export_cases(
    folder: Path,
    since: Since = None,
    most: Annotated[
        int, typer.Option("--max-events", min=1, help="Leave out an incident with more events around it.")
    ] = MAX_EVENTS,
) -> None:
    """Write a case of each incident whose cause is known, with its raw events, for `signals ai eval`."""
    rows = get("/v1/feedback", {"since": in_query(since), "limit": PAGE})
    folder.mkdir(parents=True, exist_ok=True)
    written: set[str] = set()
    with (folder / "truth.ndjson").open("w") as truths:
        for row in rows:
            cause = labelled_cause(
                useful=row["useful"], is_visible=row["is_visible"], facts=row["facts"], labels=row["labels"]
            )
            name = f"own-{row['incident_id']}"
            if cause is None or name in written:
                continue
            events = case_events(_events_around(row, most))
            if not events or len(events) > most:
                typer.echo(f"left out {name}: {'too many' if events else 'no'} events around it", err=True)
                continue
            written.add(name)
            (folder / f"{name}.ndjson").write_text("".join(json.dumps(event) + "\n" for event in events))
            truth = case_truth(name, fingerprint=row["fingerprint"], cause=cause, events=events)
            truths.write(json.dumps(truth) + "\n")
    if not written:
        raise SettingsError(
            "no incident has a known cause; say one: signals incidents feedback ID --not-useful --fact WORD"
        )
    console().print(f"{len(written)} cases in {folder}; score them: signals ai eval --cases {folder}")


def _events_around(row: dict[str, Any], most: int) -> Iterator[dict[str, Any]]:
    """Yield the events around an incident; ends soon after `most` of them."""
    opened = datetime.fromisoformat(row["opened_at"])
    query: dict[str, Any] = {
        "filters": f"environment:{row['environment']}",
        "since": (opened - BEFORE).isoformat(),
        "until": (opened + AFTER).isoformat(),
        "limit": PAGE,
    }
    found = 0
    while True:
        page = get("/v1/search/events", query)
        yield from page["events"]
        found += len(page["events"])
        if page["next_cursor"] is None or found > most:
            return
        query["cursor"] = page["next_cursor"]
