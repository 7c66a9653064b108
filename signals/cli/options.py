"""Options that several commands share."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import typer

ROOT: Final = Path(".signals")
NO_INSTANT: Final = "write an age like 30m, 6h or 7d, or an instant like 2026-03-01T12:00:00Z"
UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}


def read_instant(text: str) -> datetime:
    """Read an age before now, like 30m, 6h or 7d, or an instant in RFC 3339 with its offset from UTC.

    Raises:
        typer.BadParameter: when the text is neither, or lies before the first representable instant.
    """
    if age := re.fullmatch(r"(\d{1,5})([mhd])", text):
        return datetime.now(UTC) - timedelta(**{UNITS[age[2]]: int(age[1])})
    try:
        instant = datetime.fromisoformat(text)
        if instant.tzinfo is None:
            raise typer.BadParameter(NO_INSTANT)
        return instant.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(NO_INSTANT) from error


def read_length(text: str) -> timedelta:
    """Read a length of time, like 30m, 6h or 7d.

    Raises:
        typer.BadParameter: when the text is none.
    """
    length = re.fullmatch(r"(\d{1,5})([mhd])", text)
    if length is None or int(length[1]) == 0:
        raise typer.BadParameter("write a length like 30m, 6h or 7d")
    return timedelta(**{UNITS[length[2]]: int(length[1])})


def instant_after(length: timedelta | None, instant: datetime | None, *, otherwise: timedelta) -> str:
    """Return the end that --for or --until names, as the API takes it.

    Raises:
        typer.BadParameter: when both are given.
    """
    if length is not None and instant is not None:
        raise typer.BadParameter("give --for or --until, not both")
    end = instant or datetime.now(UTC) + (length or otherwise)
    return end.isoformat()


For = Annotated[
    timedelta | None,
    typer.Option("--for", help="How long: 30m, 6h or 7d.", parser=read_length, metavar="LENGTH"),
]
UntilThen = Annotated[
    datetime | None,
    typer.Option(
        "--until", help="Until when, like 2026-03-01T12:00:00Z.", parser=read_instant, metavar="WHEN"
    ),
]
Folder = Annotated[Path, typer.Option("--folder", help="Where the local stack keeps its data.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead.")]
Since = Annotated[
    datetime | None,
    typer.Option(
        help="From when on: an age like 30m, 6h or 7d, or an instant.", parser=read_instant, metavar="WHEN"
    ),
]
Until = Annotated[
    datetime | None,
    typer.Option(help="Until when: an age like 30m, or an instant.", parser=read_instant, metavar="WHEN"),
]


def in_query(instant: datetime | None) -> str | None:
    """Return an instant as the API's parameters take it."""
    return None if instant is None else instant.isoformat()
