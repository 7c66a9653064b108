"""Processor time of process trees, from the operating system."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

import psutil


def tree_cpu_s(pid: int) -> float:
    """Return the processor time of a process tree, ended children included."""
    try:
        root = psutil.Process(pid)
        family = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0.0
    return sum(_own_cpu_s(process) for process in family)


def trees_cpu_s(pids: Iterable[int]) -> float:
    """Return the sum over several trees that have no process in common."""
    return sum(tree_cpu_s(pid) for pid in pids)


def _own_cpu_s(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()  # only children that were waited for: living ones are counted themselves
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)


@contextmanager
def spent(meters: Mapping[str, Callable[[], float]]) -> Iterator[dict[str, float]]:
    """Yield a dictionary that holds, after the block, by how much each meter has risen."""
    before = {name: read() for name, read in meters.items()}
    rise: dict[str, float] = {}
    yield rise
    rise.update({name: read() - before[name] for name, read in meters.items()})
