"""Watches a running trial: incidents open twice, and memory."""

import threading
from collections.abc import Callable, Mapping
from typing import Final

import psutil
import psycopg

from signals.clients.postgres import Connection
from tests.system.faults.server_contents import Servers

LOOK_S: Final = 0.25
MEMORY_EVERY: Final = 4  # looks
DOUBLED: Final = """
SELECT environment || ' ' || fingerprint FROM incidents
WHERE project_id = %s AND status <> 'resolved'
GROUP BY environment, fingerprint HAVING count(*) > 1
"""
Processes = Callable[[], Mapping[int, str]]
"""The pids of the product's processes now, with their kinds."""


class Watch:
    """A thread that checks four times a second; while PostgreSQL is away no incident can open."""

    def __init__(self, servers: Servers, project_id: str, processes: Processes) -> None:
        self.doubled: set[str] = set()
        self.peak_mb: dict[str, float] = {}
        """By kind, the greatest process of that kind."""
        self.peak_total_mb = 0.0
        self._servers = servers
        self._project_id = project_id
        self._processes = processes
        self._stopping = threading.Event()
        self._connection: Connection | None = None
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Start watching."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching."""
        self._stopping.set()
        self._thread.join()
        self._disconnect()

    def _run(self) -> None:
        looks = 0
        while not self._stopping.wait(LOOK_S):
            self._check()
            if looks % MEMORY_EVERY == 0:
                self._measure_memory()
            looks += 1

    def _check(self) -> None:
        try:
            if self._connection is None:
                self._connection = self._servers.database()
            self.doubled |= doubled_incidents(self._connection, self._project_id)
        except psycopg.OperationalError:
            self._disconnect()

    def _measure_memory(self) -> None:
        total = 0.0
        for pid, name in self._processes().items():
            mb = resident_mb(pid)
            self.peak_mb[name] = max(mb, self.peak_mb.get(name, 0.0))
            total += mb
        self.peak_total_mb = max(self.peak_total_mb, total)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def doubled_incidents(connection: Connection, project_id: str) -> set[str]:
    """Return which fingerprints of a project have more than one open incident now."""
    return {name for (name,) in connection.execute(DOUBLED, (project_id,))}


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process, 0 when it is gone: being killed is what happens here."""
    try:
        return psutil.Process(pid).memory_info().rss / 2**20
    except psutil.NoSuchProcess:
        return 0.0
