"""Enters the accepted events of an ingest-api replica into the loss ledger once, across lost connections."""

import threading
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID, uuid4

from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection, transaction
from signals.domain.detection.buckets import minute_of
from signals.domain.ledger import INGEST, ForeignKind, LedgerAccount, foreign_outcome
from signals.store.ledger import ledger


class LedgerWriter:
    """Counts in memory, a number a project and minute; `flush` writes. Safe to use from several threads.

    A replica that is killed loses the counts since its last flush: the ledger then shows events that
    were handled without having been reported, never a loss.
    """

    def __init__(self, pool: ConnectionPool[Connection]) -> None:
        self._pool = pool
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._accepted: Counter[LedgerAccount] = Counter()
        self._entry: Counter[LedgerAccount] = (
            Counter()
        )  # frozen while it is uncertain whether it was committed
        self._entries = 0
        self._writer: UUID | None = None

    def accepted(self, project_id: str, received_at: datetime, events: int) -> None:
        """Count events that Kafka has acknowledged; only memory."""
        account = LedgerAccount(project_id, minute_of(received_at), INGEST, "accepted")
        with self._lock:
            self._accepted[account] += events

    def noted(
        self,
        project_id: str,
        received_at: datetime,
        door: str,
        counts: Mapping[ForeignKind, Mapping[str, int]],
    ) -> None:
        """Count what became no event at a door, by kind and reason; only memory."""
        minute = minute_of(received_at)
        with self._lock:
            for kind, reasons in counts.items():
                for reason, events in reasons.items():
                    self._accepted[
                        LedgerAccount(project_id, minute, INGEST, foreign_outcome(kind, door, reason))
                    ] += events

    def flush(self) -> int:
        """Write what was counted since the last call and return how many events; idle, no statement.

        Raises:
            DependencyUnavailable: when PostgreSQL does not answer; the same entry is tried next time.
        """
        with self._flushing:
            if not self._entry:
                with self._lock:
                    self._entry, self._accepted = self._accepted, Counter()
            if not self._entry:
                return 0
            with transaction(self._pool) as connection:
                self._enter(connection)
            written = self._entry.total()
            self._entry, self._entries = Counter(), self._entries + 1
            return written

    def _enter(self, connection: Connection) -> None:
        if self._writer is None:
            self._writer = uuid4()
            ledger.forget_silent_writers(connection)
        if ledger.claim_entry(connection, self._writer, self._entries + 1):
            ledger.add(connection, self._entry)
