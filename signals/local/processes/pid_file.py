"""The file that says which process a part of the stack is, and that the part is meant to run.

A start writes it and an orderly stop deletes it, so a death leaves it behind. Standard library only, because
the watchdog reads it all day and should stay small.
"""

import json
from pathlib import Path
from typing import NamedTuple

from signals.local.processes.process_mark import process_mark


class PidFile(NamedTuple):
    """The content of one file; `has_started` is false until the part's start is complete."""

    pid: int
    mark: str
    has_started: bool

    def lives(self) -> bool:
        """Whether the process runs."""
        return process_mark(self.pid) == self.mark

    def text(self) -> str:
        """The file's text."""
        return json.dumps(self._asdict())


def read_pid_file(path: Path) -> PidFile | None:
    """Return the content; None for no file, and for one without sense, as a loss of power leaves it."""
    try:
        known = json.loads(path.read_bytes())
        # a release that did not know has_started may have written it
        return PidFile(int(known["pid"]), str(known["mark"]), bool(known.get("has_started", True)))
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None
