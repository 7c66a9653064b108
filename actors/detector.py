"""The incident engine as a Ray actor."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

from actors import metrics
from actors.consumers import Consumer
from signals.clients.kafka.publisher import open_publisher
from signals.domain.ledger import ENTRIES, STAGES
from signals.periodic import repeated
from signals.services.detection import IncidentEngine
from signals.services.detection.history_filling import HistoryFilling
from signals.services.incidents.settling import Settling
from signals.services.ledger.audit import LedgerAudit
from signals.services.operations.housekeeping import log_audit, resolve_stale_incidents, trim_ledger
from signals.services.operations.retention import Retention
from signals.settings import KafkaSettings, RetentionSettings, RuntimeSettings

LEDGER_EVERY_S: Final = 60.0
RETAIN_EVERY_S: Final = 60.0  # a round takes a tenth of a second
SETTLE_EVERY_S: Final = 2.0  # how late an outage shows what changed of its incidents; a round takes 5 ms
CONNECTIONS: Final = 6  # at once: the loop, the heartbeat, and four duties


class Detector(Consumer):
    """Counts the events of its partitions and keeps their incidents.

    Beside its loop it runs periodic duties every few minutes, with or without events.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name, "incident-engine", connections=CONNECTIONS)
        self._runtime = RuntimeSettings.from_env()
        self._settling = Settling(self.pool)
        self._retention = Retention(self.pool, RetentionSettings.from_env())
        self._history = HistoryFilling(self.pool)
        self.start(self._session)

    @contextmanager
    def _session(self, _: threading.Event) -> Iterator[IncidentEngine]:
        kafka, resolve = KafkaSettings.from_env(), partial(resolve_stale_incidents, self.pool)
        with (
            open_publisher(kafka) as publisher,
            IncidentEngine(
                kafka,
                self.pool,
                publisher,
                tick_s=self._runtime.tick_s,
                dlq_max_share=self._runtime.dlq_max_share,
            ) as session,
            repeated(resolve, every_s=self._runtime.resolve_every_s, name="resolution of stale incidents"),
            repeated(self._settling.round, every_s=SETTLE_EVERY_S, name="settling of outages"),
            repeated(self._keep_ledger, every_s=LEDGER_EVERY_S, name="audit of the ledger"),
            repeated(self._keep_tables, every_s=RETAIN_EVERY_S, name="retention and history"),
        ):
            yield session

    def _keep_tables(self) -> None:
        """Remove what is past its days, and fill in the history of series that an earlier release counted."""
        self._retention.round()
        self._history.round()

    def _keep_ledger(self) -> None:
        """Log and measure whether the ledger balances, then delete its oldest rows."""
        ledger_audit = LedgerAudit(self.pool)
        audit, sums = ledger_audit.audit(), ledger_audit.sums()
        log_audit(audit)
        for stage in STAGES:
            metrics.LEDGER_MISSING.set(audit.missing.get(stage, 0), tags={"stage": stage})
        for entered_by, outcome in ENTRIES:
            events = sums.get((entered_by, outcome), 0)
            metrics.LEDGER_EVENTS.set(events, tags={"stage": entered_by, "outcome": outcome})
        trim_ledger(self.pool)
