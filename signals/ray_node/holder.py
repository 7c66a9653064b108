"""Holds a Ray node in the foreground: `python -m signals.ray_node.holder ray start …`.

`ray start --block` does the same but keeps 100 MB of imports for it. Here the node's processes become
ours when `ray start` ends (PR_SET_CHILD_SUBREAPER); when one of them dies, or SIGTERM comes, all end.
Standard library only, Linux only.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Final

PR_SET_CHILD_SUBREAPER: Final = 36  # linux/prctl.h
END_WITHIN_S: Final = 8.0


def main() -> int:
    """Start the node, wait, end it; exit code 0 only after SIGTERM."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    signal.signal(signal.SIGTERM, _end)
    started = subprocess.run(sys.argv[1:], check=False)
    if started.returncode != 0:
        return started.returncode
    node = set(_children())
    while True:
        pid, _ = os.waitpid(-1, 0)
        if pid in node:
            sys.stderr.write(f"process {pid} of the Ray node has died; ending the others\n")
            _end_children()
            return 1


def _end(_: int, __: FrameType | None) -> None:
    _end_children()
    sys.exit(0)


def _end_children() -> None:
    """Ask all children to end; what outlives the deadline is killed, grandchildren that come to us too."""
    deadline = time.monotonic() + END_WITHIN_S
    asked: set[int] = set()
    while children := _children():
        late = time.monotonic() > deadline
        for pid in children:
            if late or pid not in asked:
                asked.add(pid)
                os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
        time.sleep(0.05)
        _reap()


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


def _children() -> list[int]:
    pid = os.getpid()
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


if __name__ == "__main__":
    sys.exit(main())
