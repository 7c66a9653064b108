"""Kills a server when the process that started it is gone, however it went.

Run as `python -m signals.local.processes.parent_watch PID MARK` with a pipe as standard input.
The end of the pipe is the end of the parent. PR_SET_PDEATHSIG would not do:
it follows the starting thread and is Linux only.
"""

import contextlib
import sys

from signals.local.processes.process_mark import process_mark


def main() -> None:
    """Wait for the parent's end, then kill the process and its descendants if the pid still means it."""
    pid, mark = int(sys.argv[1]), sys.argv[2]
    sys.stdin.buffer.read()
    if process_mark(pid) != mark:
        return
    import psutil  # late: this process waits for long and should stay small

    root = psutil.Process(pid)
    for process in (root, *root.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


if __name__ == "__main__":
    main()
