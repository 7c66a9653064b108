"""Detection written down as plainly as the requirements do: one evaluation after every single event.

Deliberately ignorant of the product's rules, ranges and batches: it is the second opinion.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from shared_types import Envelope, EventType, bucket_start, fingerprint

SEVERITIES = ["warn", "error", "critical"]


@dataclass
class NaiveIncident:
    """An incident at the granularity of minutes since the epoch."""

    opened_minute: int
    last_seen_minute: int
    severity: str
    normal: float = 0.0


@dataclass
class NaiveDetection:
    """Counts per minute, and the incident of each fingerprint; nothing is ever resolved."""

    counts: dict[str, dict[int, int]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(int)))
    incidents: dict[str, NaiveIncident] = field(default_factory=dict)

    def feed(self, envelopes: Iterable[Envelope]) -> None:
        """Count each event, evaluate its rule, keep its incident."""
        for envelope in envelopes:
            name = fingerprint(envelope)
            if name is None:
                continue
            minute = int(bucket_start(envelope).timestamp()) // 60
            self.counts[name][minute] += 1
            if envelope.event_type is EventType.ERROR:
                self._rule_a(name, minute)
            else:
                self._rule_b(name, minute)

    def _sum(self, name: str, first: int, last: int) -> int:
        return sum(self.counts[name].get(minute, 0) for minute in range(first, last + 1))

    def _rule_a(self, name: str, minute: int) -> None:
        count_5m = self._sum(name, minute - 4, minute)
        baseline_60m = self._sum(name, minute - 64, minute - 5) / 12
        fires = count_5m >= 30 and count_5m >= 3 * max(1, baseline_60m)
        severity = "warn"
        if count_5m >= 60 and count_5m >= 6 * max(1, baseline_60m):
            severity = "error"
        if count_5m >= 300 and count_5m >= 30 * max(1, baseline_60m):
            severity = "critical"
        incident = self.incidents.get(name)
        frozen = incident.normal if incident else baseline_60m
        sustains = count_5m >= 30 and count_5m >= 3 * max(1, frozen)
        self._keep(name, minute, severity, baseline_60m, fires=fires, sustains=sustains)

    def _rule_b(self, name: str, minute: int) -> None:
        count_15m = self._sum(name, minute - 14, minute)
        baseline_prev_60m = self._sum(name, minute - 74, minute - 15) / 4
        fires = count_15m <= 10 and baseline_prev_60m >= 40
        incident = self.incidents.get(name)
        frozen = incident.normal if incident else baseline_prev_60m
        sustains = count_15m <= 10 or count_15m <= frozen / 2
        self._keep(name, minute, "error", baseline_prev_60m, fires=fires, sustains=sustains)

    def _keep(
        self, name: str, minute: int, severity: str, baseline: float, *, fires: bool, sustains: bool
    ) -> None:
        incident = self.incidents.get(name)
        if incident is not None and (fires or sustains):
            incident.last_seen_minute = minute
            incident.severity = max(incident.severity, severity, key=SEVERITIES.index)
        elif incident is None and fires:
            self.incidents[name] = NaiveIncident(minute, minute, severity, baseline)
