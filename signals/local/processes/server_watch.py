"""Starts servers of the stack again when they have died, with a growing pause between two attempts.

Run as `python -m signals.local.processes.server_watch FOLDER`. Standard library only, because this process
waits all day and should stay small; `signals.local.watchdog` does the work in a process of its own.
"""

import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from signals.local.processes.pid_file import read_pid_file

NAME: Final = "watchdog"
LOOK_EVERY_S: Final = 1.0
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 60.0
CALM_AFTER_S: Final = 300.0  # without a death: the next one is met as the first


def dead(folder: Path) -> list[str]:
    """Return the parts below `FOLDER/run` that are meant to run and died."""
    found = []
    for path in sorted((folder / "run").glob("*.json")):
        known = read_pid_file(path)
        if path.stem == NAME or (known is None and not path.exists()):  # stopped just now
            continue
        if known is None or not known.lives():
            found.append(path.stem)
    return found


def main() -> None:
    """Watch until the stack is gone."""
    folder, pause_s, tried_at = Path(sys.argv[1]), FIRST_PAUSE_S, 0.0
    while (folder / "run").exists():
        time.sleep(LOOK_EVERY_S)
        names = dead(folder)
        if not names:
            continue
        if time.monotonic() - tried_at > CALM_AFTER_S:
            pause_s = FIRST_PAUSE_S
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        now = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        with suppress(OSError):  # the disk is full: the attempt matters, not its line
            sys.stderr.write(f"{now} {', '.join(names)} died: starting again\n")
        subprocess.run([sys.executable, "-m", "signals.local.watchdog", folder], check=False)
        tried_at = time.monotonic()


if __name__ == "__main__":
    main()
