"""The pieces of Markdown that reference pages are made of."""

from collections.abc import Iterable, Sequence
from typing import Final

WRITTEN: Final = "<!-- Written by `make reference` from {source}: change that. -->"


def page(title: str, source: str, introduction: str, parts: Iterable[str]) -> str:
    """Join a page: title, a comment that names its source, an introduction, and the parts."""
    blocks = [f"# {title}", WRITTEN.format(source=source), introduction, *parts]
    return "\n\n".join(block.strip("\n") for block in blocks if block) + "\n"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table; cells lose their line breaks, and bars are escaped."""
    lines = [_row(headings), "|" + "---|" * len(headings)]
    return "\n".join([*lines, *(_row(row) for row in rows)])


def code(value: object) -> str:
    """Write a literal, or a dash where there is none."""
    text = str(value)
    return f"`{text}`" if text else "-"


def sentence(text: str) -> str:
    """Begin with a capital, unless the first word is a literal, and end with a full stop."""
    text = " ".join(text.split())
    if not text:
        return ""
    first = text.partition(" ")[0]
    start = text[0].upper() if first.isalpha() else text[0]
    return start + text[1:] + ("" if text[-1] in ".!?:" else ".")


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"
