"""Says how far each stage has read each partition of the events' topic."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from psycopg_pool import ConnectionPool

from signals.clients.kafka import RAW_TOPIC
from signals.clients.kafka.log_ends import log_ends
from signals.clients.postgres import REQUEST_TIMEOUT_MS, Connection, reading
from signals.domain.ledger import ReadingStage
from signals.errors import DependencyUnavailable
from signals.settings import KafkaSettings
from signals.store.operations import offsets

KEPT_S: Final = 2.0  # open pages ask every few seconds; one question to the broker serves all of them


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionLag:
    """How far a stage has read one partition: `next_offset` of `end`, and when it last moved."""

    stage: str
    partition: int
    next_offset: int
    end: int
    moved_at: datetime | None

    @property
    def waiting(self) -> int:
        """The records that the stage has not handled yet."""
        return max(0, self.end - self.next_offset)


class PartitionLags:
    """Reads ends from Kafka and offsets from PostgreSQL; safe to call from several threads.

    `groups` are the consumer groups by stage.
    """

    def __init__(
        self,
        pool: ConnectionPool[Connection],
        settings: Callable[[], KafkaSettings],
        groups: Mapping[ReadingStage, str],
    ) -> None:
        self._pool = pool
        self._groups = dict(groups)
        self._settings = settings
        self._lock = threading.Lock()
        self._ends: Mapping[int, int] = {}
        self._failure: DependencyUnavailable | None = None
        self._asked_at = float("-inf")

    def read(self) -> Sequence[PartitionLag]:
        """Return each stage's lag by partition.

        Raises:
            DependencyUnavailable: when Kafka or PostgreSQL does not answer.
            SettingsError: when no broker is named.
        """
        ends = self._known_ends()
        with reading(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            stored = offsets.of_topic(connection, topic=RAW_TOPIC)
        return [
            PartitionLag(
                stage=stage,
                partition=partition,
                next_offset=held.next_offset if held else 0,
                end=end,
                moved_at=held.updated_at if held and held.next_offset else None,
            )
            for stage, group in self._groups.items()
            for partition, end in sorted(ends.items())
            for held in (stored.get((group, partition)),)
        ]

    def _known_ends(self) -> Mapping[int, int]:
        with self._lock:
            if time.monotonic() - self._asked_at > KEPT_S:
                self._failure = None
                try:
                    self._ends = log_ends(self._settings(), RAW_TOPIC)
                except DependencyUnavailable as error:  # kept, too: readers must not queue for a dead broker
                    self._failure = error
                self._asked_at = time.monotonic()
            if self._failure is not None:
                raise self._failure
            return self._ends
