"""`signals ledger`: where the events of the newest hour went, by minute, project and stage."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import orjson
import typer
from rich.table import Table

from signals.cli.core_client import load_environment
from signals.cli.options import ROOT, Folder, Since
from signals.cli.readable import console, plain
from signals.clients.postgres import open_pool
from signals.domain.ledger import StageLine
from signals.services.ledger.audit import LedgerAudit, LedgerReport, NotEvents
from signals.settings import PostgresSettings

DEFAULT_AGE: Final = timedelta(hours=1)
NUMBERS: Final = (
    "accepted",
    "counted",
    "of no rule",
    "indexed",
    "duplicate",
    "dead-lettered",
    "in flight",
    "missing",
    "unconfirmed",
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(ledger)


def ledger(
    since: Since = None,
    project: Annotated[str | None, typer.Option(help="Only this project.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead.")] = False,
    folder: Folder = ROOT,
) -> None:
    """Account for every accepted event, of the newest hour by default; exit code 1 when one is missing."""
    now = datetime.now(UTC)
    start = (since or now - DEFAULT_AGE).replace(second=0, microsecond=0)
    load_environment(folder / "env")
    with open_pool(PostgresSettings.from_env(), size=1) as pool:
        report = LedgerAudit(pool).report(project, start, now)
    if as_json:
        print(orjson.dumps(report, option=orjson.OPT_INDENT_2).decode())
    else:
        console().print(_table(report))
        if report.not_events:
            console().print(not_events_table(report.not_events))
    if any(line.missing for line in report.totals):
        raise typer.Exit(1)


def _table(report: LedgerReport) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("minute (UTC)", "project", "stage"):
        table.add_column(heading)
    for heading in NUMBERS:
        table.add_column(heading, justify="right")
    for minute in report.minutes:
        for line in minute.stages:
            at = f"{minute.minute_at:%m-%d %H:%M}"
            table.add_row(at, plain(minute.project_id) or "(none)", line.stage, *_numbers(line))
    for line in report.totals:
        table.add_row("together", "", line.stage, *_numbers(line))
    return table


def not_events_table(rows: Sequence[NotEvents]) -> Table:
    """Show what became no event, beside the balance."""
    table = Table(box=None, pad_edge=False, title="no events: ignored, refused, or lost before us")
    for heading in ("minute (UTC)", "project", "what", "door", "reason", "items"):
        table.add_column(heading)
    for row in rows:
        at, what = f"{row.minute_at:%m-%d %H:%M}", row.kind.replace("_", " ")
        project = plain(row.project_id) or "(none)"
        table.add_row(at, project, what, row.door, plain(row.reason), str(row.items))
    return table


def _numbers(line: StageLine) -> list[str]:
    counts = {
        **line.outcomes,
        "of no rule": line.outcomes.get("uncounted", 0),
        "accepted": line.expected,
        "in flight": line.in_flight,
        "missing": line.missing,
        "unconfirmed": line.unconfirmed,
    }
    return [str(counts.get(name.replace("-", "_"), "") or "-") for name in NUMBERS]
