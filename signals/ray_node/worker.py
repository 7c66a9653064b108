"""Packages that a Ray worker leaves unloaded."""

import sys
from pathlib import Path
from typing import Final

WORKER: Final = "default_worker.py"  # the program of Ray's workers
UNUSED: Final = ("rich",)
"""structlog loads rich, and rich loads pygments, for logs in a terminal; a worker writes JSON."""


def leave_unloaded() -> None:
    """In a Ray worker let imports of unused packages fail, which their importers expect: 5 MB a process.

    Elsewhere do nothing: the command line uses them.
    """
    if Path(sys.argv[0]).name == WORKER:
        for name in UNUSED:
            sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # Python's way to say "not there"
