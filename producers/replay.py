"""`signals-replay`: send recorded events (NDJSON) to ingest-api at a chosen speed."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from producers.command import DEFAULT_URL, KEY_HELP, carry_out, endpoint, usage_error
from producers.ndjson import Course, MalformedLine, Recording, Survey, replay, survey
from producers.recordings import recording, recordings
from producers.sender import Pace
from producers.tally import SendTally

_MALFORMED_SHOWN: Final = 20

_app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


class Rebase(StrEnum):
    """Whether recorded instants are shifted to the present."""

    NOW = "now"
    NONE = "none"


def parse_speed(text: str) -> float:
    """Read a time warp factor; 0 or `max` mean as fast as possible, which is 0.

    Raises typer.BadParameter.
    """
    try:
        speed = 0.0 if text == "max" else float(text.removesuffix("x"))
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not a factor; write 60, 1.5 or max.") from error
    if not 0.0 <= speed < float("inf"):
        raise typer.BadParameter("The factor must be 0 (as fast as possible) or more.")
    return speed


def plan_course(found: Sequence[Survey], speed: float, rebase: Rebase, now: datetime) -> Course:
    """Decide pace and shifts: rebased, the last event of every file occurs at the moment it is sent."""
    spans = [
        (file.path, file.first_at, file.last_at)
        for file in found
        if file.first_at is not None and file.last_at is not None
    ]
    longest = max((last_at - first_at for _, first_at, last_at in spans), default=timedelta())
    # In slow motion the end would lie far ahead; ingest-api refuses events of the future.
    end = now + (longest / speed if speed >= 1 else timedelta())
    end = end.replace(microsecond=end.microsecond // 1000 * 1000)
    is_moved = rebase is Rebase.NOW
    recordings = [Recording(path, end - last_at if is_moved else None) for path, _, last_at in spans]
    starts = [end - (last_at - first_at) if is_moved else first_at for _, first_at, last_at in spans]
    return Course(recordings, min(starts, default=now), speed or None)


@_app.command(epilog=KEY_HELP)
def replay_files(
    files: Annotated[
        list[Path],
        typer.Argument(
            help=f"NDJSON files, or recorded scenarios ({', '.join(recordings())}); "
            "several are replayed side by side."
        ),
    ],
    speed: Annotated[
        float,
        typer.Option(parser=parse_speed, metavar="FACTOR", help="Recorded seconds per second; 0 or max."),
    ] = "60",  # type: ignore[assignment]  # the parser makes it a number
    rebase: Annotated[
        Rebase,
        typer.Option(
            help="now: each file's last event occurs when it is sent. none: keep recorded instants and ids."
        ),
    ] = Rebase.NOW,
    concurrency: Annotated[
        int, typer.Option(min=1, help="Requests under way at once; 1 keeps the recorded order.")
    ] = 1,
    batch_size: Annotated[int, typer.Option(min=1, max=1000, help="Events per request at most.")] = 500,
    ingest_url: Annotated[
        str, typer.Option(envvar="INGEST_API_URL", help="Base URL of ingest-api.")
    ] = DEFAULT_URL,
    report: Annotated[Path | None, typer.Option(help="Write a JSON report to this file.")] = None,
) -> None:
    """Replay recorded events.

    With --rebase now every replay makes new events: ids are derived from the recorded id and the shift in
    time, so a request that is repeated after a fault is still recognized, but a second replay counts
    again. With --rebase none ids stay, and a second replay changes nothing. org_id, project_id and
    received_at of the recording are dropped: the key says whose events they are. Lines that are no event
    are named, counted and left out.
    """
    target = endpoint(ingest_url)
    try:
        found = [survey(recording(path)) for path in files]
    except OSError as error:
        usage_error(f"Cannot read {error.filename}: {error.strerror}.")
    malformed = [line for file in found for line in file.malformed]
    _name(malformed)
    now = datetime.now(UTC)
    course = plan_course(found, speed, rebase, now)
    run = {"files": " ".join(path.name for path in files), "rebase": rebase.value}
    run["started_at"] = now.isoformat(timespec="seconds")
    pace = Pace(concurrency=concurrency, batch_size=batch_size)
    tally = SendTally(malformed=len(malformed))
    carry_out(replay(course), target, pace, tally=tally, run=run, report=report)


def _name(malformed: Sequence[MalformedLine]) -> None:
    for line in malformed[:_MALFORMED_SHOWN]:
        typer.echo(f"{line.origin}: {line.reason}", err=True)
    if len(malformed) > _MALFORMED_SHOWN:
        typer.echo(f"... and {len(malformed) - _MALFORMED_SHOWN} lines more", err=True)


def main() -> None:
    """Run the command line."""
    _app(prog_name="signals-replay")
