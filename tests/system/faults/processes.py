"""Finds the processes of a running product by Ray's titles, and kills or freezes them."""

import os
import signal
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Final

import psutil

from tests.support.waiting import until

TITLES: Final[Mapping[str, str]] = {
    "incident-engine": "ray::Detector",
    "indexer": "ray::Indexer",
    "ai-worker": "ray::Summarizer",
    "ingest replica": "ray::ServeReplica:ingest",
    "core replica": "ray::ServeReplica:core",
    "supervisor": "ray::ServeReplica:consumers",
    "Serve controller": "ray::ServeController",
    "HAProxy manager": "ray::HAProxyManager",
    "HAProxy": "haproxy",
}
"""How the title of each kind of process begins (Ray sets it), or what its program is called."""


def product_processes(root_pid: int) -> dict[int, str]:
    """Return the kind of every process of ours below the Ray node's root."""
    try:
        family = psutil.Process(root_pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return {}
    return {process.pid: kind for process in family if (kind := _kind(process))}


def _kind(process: psutil.Process) -> str | None:
    try:
        program = (process.cmdline() or [""])[0]
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
    except psutil.NoSuchProcess:
        return None
    title = program.rsplit("/", 1)[-1] if not program.startswith("ray::") else program
    return next((kind for kind, start in TITLES.items() if title.startswith(start)), None)


def family_of(root_pid: int) -> list[int]:
    """Return a process and all its descendants."""
    root = psutil.Process(root_pid)
    return [process.pid for process in (root, *root.children(recursive=True))]


def pids_of(root_pid: int, kind: str) -> list[int]:
    """Return the processes of one kind, oldest first."""
    return sorted(pid for pid, name in product_processes(root_pid).items() if name == kind)


def one_of(root_pid: int, kind: str, *, within_s: float = 90.0) -> int:
    """Return the oldest process of a kind, waiting until there is one."""
    return until(lambda: pids_of(root_pid, kind), within_s=within_s, every_s=0.02)[0]


def kill(pid: int) -> None:
    """SIGKILL: no hook runs."""
    os.kill(pid, signal.SIGKILL)


def freeze(pid: int) -> None:
    """SIGSTOP: the process stops without noticing."""
    os.kill(pid, signal.SIGSTOP)


def freeze_families(root_pids: Iterable[int]) -> list[int]:
    """Freeze processes with all their descendants, those included that start meanwhile; return all pids."""
    frozen: list[int] = []
    while awake := [pid for root in root_pids for pid in family_of(root) if pid not in frozen]:
        for pid in awake:
            with suppress(ProcessLookupError):
                freeze(pid)
        frozen += awake
    return frozen


def thaw(pid: int) -> None:
    """SIGCONT, unless the process has ended meanwhile."""
    if psutil.pid_exists(pid):
        os.kill(pid, signal.SIGCONT)
