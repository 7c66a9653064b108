"""Options that both command lines share: target, durations, exit codes."""

import asyncio
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NoReturn

import typer

from producers.client import IngestEndpoint, SendRefused
from producers.plan import Planned
from producers.report import EXIT_USAGE, exit_code, present
from producers.sender import Pace, send
from producers.tally import SendTally

DEFAULT_URL: Final = "http://127.0.0.1:8000"
KEY_HELP: Final = (
    "The key of the project is read from PROJECT_API_KEY, never from the command line. Exit codes: 0 every "
    "event accepted, 1 some rejected, lost or malformed, 2 wrong usage, key or URL, 130 interrupted."
)

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h)?")
_UNIT_S: Final = {"s": 1.0, "m": 60.0, "h": 3600.0}


def usage_error(sentence: str) -> NoReturn:
    """End with exit code 2 and one sentence."""
    typer.echo(sentence, err=True)
    raise typer.Exit(EXIT_USAGE)


def parse_duration(text: str) -> float:
    """Read `90`, `90s`, `10m` or `1h` as seconds.

    Raises typer.BadParameter.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None or float(match[1]) <= 0:
        raise typer.BadParameter(f"{text!r} is not a duration; write 90, 90s, 10m or 1h.")
    return float(match[1]) * _UNIT_S[match[2] or "s"]


def endpoint(url: str) -> IngestEndpoint:
    """Return the target, or end with exit code 2 when the key is missing."""
    api_key = os.environ.get("PROJECT_API_KEY", "").strip()
    if not api_key:
        usage_error("PROJECT_API_KEY is not set: export a project's key with scope ingest.")
    return IngestEndpoint(url=url, api_key=api_key)


def carry_out(
    plan: Iterable[Planned],
    target: IngestEndpoint,
    pace: Pace,
    *,
    tally: SendTally,
    run: Mapping[str, object],
    report: Path | None,
) -> NoReturn:
    """Send the plan, print the report, and end with its exit code."""
    refusal: str | None = None
    was_finished = True
    try:
        was_finished = asyncio.run(send(plan, target, pace, tally))
    except* SendRefused as group:
        refusal = str(group.exceptions[0])
    if refusal is not None:
        usage_error(refusal)
    present(tally, run, report)
    raise typer.Exit(exit_code(tally, was_finished=was_finished))
