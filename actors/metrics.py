"""Every metric of the consumers, in one list. Labels are bounded: kind, stage, outcome; never a project.

Prometheus finds them under `ray_`, on the metrics port of each node.
"""

from typing import Final

from ray.util.metrics import Counter, Gauge

HANDLED: Final = Counter(
    "signals_handled", "Records or jobs that a consumer has handled since its process began.", ("kind",)
)
BACKED_OFF: Final = Counter(
    "signals_backed_off", "Sessions that ended by an outage or a fence, and began anew.", ("kind",)
)
LAG: Final = Gauge(
    "signals_lag", "Records behind the log end, over the partitions of one consumer.", ("kind", "worker")
)
LEDGER_EVENTS: Final = Gauge(
    "signals_ledger_events",
    "Events received in the newest hour, by what became of them.",
    ("stage", "outcome"),
)
LEDGER_MISSING: Final = Gauge(
    "signals_ledger_missing", "Events of the newest hour that were accepted and then lost.", ("stage",)
)
