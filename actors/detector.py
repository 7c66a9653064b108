"""The incident engine as a Ray actor."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import ray

from actors import metrics
from actors.consumers import Consumer
from actors.periodic import repeated
from signals.clients.kafka.publisher import open_publisher
from signals.domain.ledger import ENTRIES, STAGES
from signals.services.detection import Detecting
from signals.services.ledger.audit import Auditing
from signals.services.operations.housekeeping import resolve_stale_incidents, tell_audit, trim_ledger
from signals.services.operations.retention import Retaining
from signals.settings import KafkaSettings, RetentionSettings, RuntimeSettings

AUDIT_EVERY_S: Final = 60.0
RETAIN_EVERY_S: Final = 60.0  # beside the loop: a round takes a tenth of a second


class _WithHousekeeping:
    """A detecting session that also does what is due every few minutes, whatever the events."""

    def __init__(self, detecting: Detecting, actor: "Detector") -> None:
        self._detecting = detecting
        self._actor = actor
        self.owned = detecting.owned
        self.lag = detecting.lag

    def step(self, timeout_s: float) -> int:
        """Step, then do what is due; return the step's records."""
        handled = self._detecting.step(timeout_s)
        actor, now = self._actor, time.monotonic()
        if now >= actor.next_resolve:
            resolve_stale_incidents(actor.pool)
            actor.next_resolve = now + actor.runtime.resolve_every_s
        if now >= actor.next_audit:
            actor.audit()
            trim_ledger(actor.pool)
            actor.next_audit = now + AUDIT_EVERY_S
        return handled


class Detector(Consumer):
    """Counts the events of its partitions and keeps their incidents."""

    def __init__(self, name: str) -> None:
        super().__init__(name, "incident-engine", connections=3)
        self.runtime = RuntimeSettings.from_env()
        self.next_resolve = 0.0
        self.next_audit = 0.0
        self._retaining = Retaining(self.pool, RetentionSettings.from_env())
        self.start(self._session)

    def audit(self) -> None:
        """Tell in log and metrics whether the ledger balances."""
        auditing = Auditing(self.pool)
        audit, sums = auditing.audit(), auditing.sums()
        tell_audit(audit)
        for stage in STAGES:
            metrics.LEDGER_MISSING.set(audit.missing.get(stage, 0), tags={"stage": stage})
        for entered_by, outcome in ENTRIES:
            events = sums.get((entered_by, outcome), 0)
            metrics.LEDGER_EVENTS.set(events, tags={"stage": entered_by, "outcome": outcome})

    @contextmanager
    def _session(self, _: threading.Event) -> Iterator[_WithHousekeeping]:
        kafka = KafkaSettings.from_env()
        with (
            open_publisher(kafka) as publisher,
            Detecting(
                kafka,
                self.pool,
                publisher,
                tick_s=self.runtime.tick_s,
                dlq_max_share=self.runtime.dlq_max_share,
            ) as detecting,
            repeated(self._retaining.round, every_s=RETAIN_EVERY_S, what="retention"),
        ):
            yield _WithHousekeeping(detecting, self)


DetectorActor = ray.remote(Detector)
