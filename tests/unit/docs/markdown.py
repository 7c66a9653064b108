"""Reads the parts of a Markdown page that tests compare: sections, tables, shell blocks."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]


def section(page: str, title: str) -> str:
    """The text below a heading of level two, up to the next one."""
    _, _, rest = page.partition(f"\n## {title}\n")
    assert rest, f"there is no section {title!r}"
    return rest.partition("\n## ")[0]


def table(text: str, first_column: str) -> list[list[str]]:
    """The rows of the table whose first heading this is; cells are trimmed and lose their backquotes."""
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {first_column} |"))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        cells = re.split(r"(?<!\\)\|", line)[1:-1]
        rows.append([cell.strip().removeprefix("`").removesuffix("`") for cell in cells])
    return rows


def shell_blocks(text: str) -> list[str]:
    """The contents of its ```sh blocks."""
    return re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
