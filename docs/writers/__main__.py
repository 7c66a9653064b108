"""Writes every reference page: `make reference`. With `--check` it writes nothing and names stale pages."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from docs.writers.chart import chart_page
from docs.writers.commands import commands_page
from docs.writers.http_api import http_page, openapi_file
from docs.writers.resources import resources_page
from docs.writers.settings import settings_page

FOLDER: Final = Path(__file__).parents[1] / "reference"


def rendered() -> Mapping[str, str]:
    """Return the text of each generated file of `FOLDER`."""
    return {
        "settings.md": settings_page(),
        "cli.md": commands_page(),
        "http-api.md": http_page(),
        "openapi.json": openapi_file(),
        "crds.md": resources_page(),
        "chart.md": chart_page(),
    }


def stale(folder: Path = FOLDER) -> list[str]:
    """Name the files that differ from what the code says."""
    return [
        name
        for name, text in rendered().items()
        if not (folder / name).exists() or (folder / name).read_text() != text
    ]


def write(folder: Path = FOLDER) -> None:
    """Write the files."""
    for name, text in rendered().items():
        (folder / name).write_text(text)


if __name__ == "__main__":
    if "--check" not in sys.argv[1:]:
        write()
    elif old := stale():
        sys.exit(f"run `make reference`: {', '.join(old)} differ from the code")
