"""Options that several commands share."""

from pathlib import Path
from typing import Annotated, Final

import typer

ROOT: Final = Path(".signals")

Folder = Annotated[Path, typer.Option("--folder", help="Where the local stack keeps its data.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead.")]
