"""Keeps the lease of one job alive while the work on it takes its time."""

import threading
from datetime import timedelta
from typing import Final, Generic, Self, TypeVar

import structlog
from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection, transaction
from signals.errors import DependencyUnavailable
from signals.store import leases
from signals.store.queues import Lease, Queue

MAX_RENEWALS: Final = 10  # guess: a call that outlives five leases is stuck; let the job be rescued

L = TypeVar("L", bound=Lease)

log = structlog.get_logger(__name__)


class LeaseKeeper(Generic[L]):
    """Renews a lease at half-time in a thread of its own.

    After the block, `held` carries the newest token; when the lease was lost, finishing with it hits no row.
    """

    def __init__(
        self, pool: ConnectionPool[Connection], queue: Queue[L], held: L, *, lease: timedelta
    ) -> None:
        self.held = held
        self._pool = pool
        self._queue = queue
        self._lease = lease
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"lease-{held.job_id}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _keep(self) -> None:
        for _ in range(MAX_RENEWALS):
            if self._done.wait(self._lease.total_seconds() / 2) or not self._renew():
                return

    def _renew(self) -> bool:
        try:
            with transaction(self._pool) as connection:
                renewed = leases.renew(connection, self._queue, self.held, lease=self._lease)
        except DependencyUnavailable as error:
            log.warning("lease not renewed", job_id=str(self.held.job_id), reason=str(error))
            return True
        if renewed is None:
            log.warning("lease lost", job_id=str(self.held.job_id))
            return False
        self.held = renewed
        return True
