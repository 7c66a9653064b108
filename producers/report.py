"""The report of a run: a table for people, JSON for programs, and the exit code."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from producers.tally import SendTally

EXIT_INCOMPLETE: Final = 1
EXIT_USAGE: Final = 2
EXIT_INTERRUPTED: Final = 130

_REASONS_SHOWN: Final = 10
_MAX_REPORT_BYTES: Final = 4096  # Kubernetes' limit of a pod's termination log
_MAX_TEXT: Final = 300


def exit_code(tally: SendTally, *, was_finished: bool) -> int:
    """Return 0 when every event was accepted, 1 when some were not, 130 when a signal cut the run short."""
    if not was_finished:
        return EXIT_INTERRUPTED
    return 0 if tally.is_complete else EXIT_INCOMPLETE


def as_json(tally: SendTally, run: Mapping[str, object]) -> dict[str, Any]:
    """Return the report: the requested load (`run`), counts, rate, latencies, reasons."""
    return {
        **run,
        "duration_s": round(tally.duration_s, 3),
        "sent": tally.sent,
        "accepted": tally.accepted,
        "rejected": tally.rejected,
        "lost": tally.unsettled,
        "malformed": tally.malformed,
        "retries": tally.retries,
        "accepted_per_s": round(tally.rate, 1),
        "latency_ms": {f"p{share}": tally.latency_ms(share / 100) for share in (50, 95, 99)},
        "rejections": [
            {**rejection._asdict(), "message": rejection.message[:_MAX_TEXT], "count": count}
            for rejection, count in tally.rejections.most_common()
        ],
        "trouble": tally.trouble and tally.trouble[:_MAX_TEXT],
    }


def as_text(report: Mapping[str, Any]) -> str:
    """Return the report as JSON of at most 4096 bytes, with as many frequent rejections as fit."""
    rejections = report["rejections"]
    for kept in range(len(rejections), -1, -1):
        left_out = {"rejections_left_out": len(rejections) - kept} if kept < len(rejections) else {}
        text = json.dumps({**report, "rejections": rejections[:kept], **left_out}, indent=2) + "\n"
        if len(text) <= _MAX_REPORT_BYTES:
            break
    return text


def present(tally: SendTally, run: Mapping[str, object], path: Path | None) -> None:
    """Print the summary on standard output and, with `path`, write the JSON report there."""
    report = as_json(tally, run)
    if path is not None:
        path.write_text(as_text(report), encoding="utf-8")
    table = Table(show_header=False)
    table.add_column(justify="left")
    table.add_column(justify="right")
    for name, value in run.items():
        table.add_row(name, str(value))
    table.add_section()
    for name in ("sent", "accepted", "rejected", "lost", "malformed", "retries"):
        table.add_row(name, f"{report[name]:,}")
    table.add_row("accepted per second", f"{report['accepted_per_s']:,}")
    for name, value in report["latency_ms"].items():
        table.add_row(f"request {name}", "-" if value is None else f"{value} ms")
    table.add_row("duration", f"{report['duration_s']} s")
    console = Console(highlight=False)
    console.print(table)
    for rejection, count in tally.rejections.most_common(_REASONS_SHOWN):
        console.print(
            f"rejected {count}: {rejection.code}: {rejection.message}", markup=False, soft_wrap=True
        )
    if tally.unsettled:
        console.print(
            f"lost {tally.unsettled}: {tally.trouble or 'interrupted'}", markup=False, soft_wrap=True
        )
