"""Turns values from outside into what a terminal shows safely."""

import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from rich.console import Console

BARS: Final = "▁▂▃▄▅▆▇█"
HEX_WIDTH: Final = 16  # bytes a line
PIPE_WIDTH: Final = 160  # columns when the output is no terminal: wide enough not to fold an id


def console() -> Console:
    """Return a console for standard output that takes no markup from data."""
    return Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, markup=False, highlight=False)


def plain(value: object) -> str:
    """Return a text without control characters: events may hold a terminal's escape sequences."""
    text = "" if value is None else str(value)
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text
    )


def moment(text: object) -> str:
    """Write an instant of the API in local time, to the second."""
    return datetime.fromisoformat(str(text)).astimezone().strftime("%Y-%m-%d %H:%M:%S") if text else "-"


def ago(age: timedelta) -> str:
    """Write an age in its largest whole unit."""
    seconds = max(0, int(age.total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def safe_text(data: bytes) -> str:
    """Return bytes as lines of text without control characters, or in hexadecimal when they are no text."""
    try:
        return "\n".join(plain(line.expandtabs()) for line in data.decode().split("\n"))
    except UnicodeDecodeError:
        rows = [data[start : start + HEX_WIDTH] for start in range(0, len(data), HEX_WIDTH)]
        return "\n".join(
            f"{row.hex(' '):<{3 * HEX_WIDTH}}{plain(row.decode('ascii', 'replace'))}" for row in rows
        )


def sparkline(counts: Sequence[int], *, width: int) -> str:
    """Draw counts as bars in at most `width` columns; a column shows the highest of its counts."""
    if not counts:
        return ""
    step = -(-len(counts) // width)
    columns = [max(counts[start : start + step]) for start in range(0, len(counts), step)]
    top = max(columns) or 1
    return "".join(BARS[-(-column * (len(BARS) - 1) // top)] for column in columns)
