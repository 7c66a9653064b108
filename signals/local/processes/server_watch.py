"""Starts parts of the stack again when they have died, with a growing pause between two attempts.

Run as `python -m signals.local.processes.server_watch FOLDER`. Standard library only, because this process
waits all day and should stay small; `signals.local.watchdog` does the work in a process of its own.
"""

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

from signals.local.processes.pid_file import read_pid_file

NAME: Final = "watchdog"
LOOK_EVERY_S: Final = 1.0
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 60.0
CALM_AFTER_S: Final = 300.0  # without an attempt: the next death is met as the first
FAILED: Final = "not yet: "
"""The beginning of the log's line about an attempt that failed."""
SUCCEEDED: Final = "all runs again"
"""The end of the log's line about an attempt that left nothing missing."""


def missing(folder: Path) -> dict[str, Literal["died", "starting"]]:
    """Return the parts below `FOLDER/run` that are meant to run and died, or whose start is not complete."""
    found: dict[str, Literal["died", "starting"]] = {}
    for path in sorted((folder / "run").glob("*.json")):
        known = read_pid_file(path)
        if path.stem == NAME or (known is None and not path.exists()):  # stopped just now
            continue
        if known is None or not known.lives():
            found[path.stem] = "died"
        elif not known.has_started:
            found[path.stem] = "starting"
    return found


def died(folder: Path) -> list[str]:
    """Return the names of the parts that died and do not run again yet."""
    return [name for name, state in missing(folder).items() if state == "died"]


def next_pause_s(last_pause_s: float, calm_s: float) -> float:
    """Return the pause before the next attempt, `calm_s` after the end of the last one."""
    return FIRST_PAUSE_S if calm_s > CALM_AFTER_S else min(2 * last_pause_s, LONGEST_PAUSE_S)


def main() -> None:
    """Watch until the stack is gone."""
    folder, pause_s, calm_since = Path(sys.argv[1]), 0.0, float("-inf")
    while (folder / "run").exists():
        time.sleep(LOOK_EVERY_S)
        try:
            parts = missing(folder)
            if not parts:
                continue
            pause_s = next_pause_s(pause_s, time.monotonic() - calm_since)
            time.sleep(pause_s)
            _log(", ".join(f"{name} ({state})" for name, state in parts.items()) + ": trying again")
            attempt = [sys.executable, "-m", "signals.local.watchdog", str(folder)]
            if subprocess.run(attempt, check=False).returncode == 0:
                _log(SUCCEEDED)
        except OSError as error:  # no memory, process or file handle is left: that may pass
            _log(f"{FAILED}{error}")
        calm_since = time.monotonic()


def _log(line: str) -> None:
    with suppress(OSError):  # the disk is full: the attempt matters, not its line
        os.write(2, f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {line}\n".encode())  # a buffer would keep it


if __name__ == "__main__":
    main()
