"""Cost of process trees: their proportional memory and processor time."""

from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """Of one process and everything it started; `cpu_s` counts since their start."""

    processes: int
    pss_bytes: int
    cpu_s: float

    def __add__(self, other: "Footprint") -> "Footprint":
        return Footprint(
            processes=self.processes + other.processes,
            pss_bytes=self.pss_bytes + other.pss_bytes,
            cpu_s=self.cpu_s + other.cpu_s,
        )


NOTHING = Footprint(processes=0, pss_bytes=0, cpu_s=0.0)


def footprint_of(pid: int) -> Footprint:
    """The footprint of the tree below a pid; what has ended meanwhile counts nothing."""
    try:
        root = psutil.Process(pid)
        family = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return NOTHING
    return sum((footprint_of_one(process) for process in family), NOTHING)


def footprint_of_one(process: psutil.Process) -> Footprint:
    """The footprint of one process without its children; nothing when it has ended."""
    try:
        cpu = process.cpu_times()  # of children only those that have ended: the living are counted themselves
        memory_bytes = _pss_bytes(process.pid) or process.memory_info().rss
    except psutil.NoSuchProcess:
        return NOTHING
    return Footprint(
        processes=1,
        pss_bytes=memory_bytes,
        cpu_s=cpu.user + cpu.system + cpu.children_user + cpu.children_system,
    )


def _pss_bytes(pid: int) -> int | None:
    """Shared pages divided by their users (proc_pid_smaps(5)); None where the system does not tell."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return None
    sizes = [int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")]
    return sizes[0] if sizes else None
