"""Which process a pid means: the pid together with the moment it was born.

A pid alone is reused; a signal sent to it may hit a stranger. Standard library only, because the parent
watch is a process of its own and should stay small.
"""

import subprocess
import sys
from pathlib import Path

_START_TIME_FIELD = 19
"""Of /proc/<pid>/stat after the command's closing parenthesis: proc_pid_stat(5), field 22."""


def process_mark(pid: int) -> str | None:
    """A text that no other process with this pid shares, or None when it is gone or a zombie."""
    return _mark_from_proc(pid) if sys.platform == "linux" else _mark_from_ps(pid)


def _mark_from_proc(pid: int) -> str | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    if fields[0] in "ZX":
        return None
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot_id}:{fields[_START_TIME_FIELD]}"


def _mark_from_ps(pid: int) -> str | None:
    seen = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.split(maxsplit=1)
    return None if len(seen) < 2 or seen[0].startswith("Z") else seen[1].strip()
