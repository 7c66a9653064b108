"""Prometheus metrics of the operator and its stacks, on a separate port."""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from k8s.operator.stack_reconciler import PassOutcome

REGISTRY = CollectorRegistry()
STACK = ("stack_namespace", "stack")

RECONCILIATIONS = Counter(
    "signals_operator_reconciliations",
    "Passes over objects, by kind and whether they were done or failed",
    ("kind", "result"),
    registry=REGISTRY,
)
DURATION = Histogram(
    "signals_operator_reconciliation_seconds",
    "How long a pass took",
    ("kind",),
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),  # guess: a pass is some ten requests
    registry=REGISTRY,
)
LAST_SUCCESS = Gauge(
    "signals_operator_last_success_timestamp_seconds",
    "When a pass over the stack was last done",
    STACK,
    registry=REGISTRY,
)
READY = Gauge(
    "signals_operator_stack_ready", "1 while the stack's condition Ready is true", STACK, registry=REGISTRY
)
PAUSED = Gauge("signals_operator_paused", "1 while spec.paused is set", STACK, registry=REGISTRY)
STALLED = Gauge(
    "signals_operator_stalled",
    "1 while the stack's condition Stalled is true",
    STACK,
    registry=REGISTRY,
)
LAG = Gauge(
    "signals_operator_stack_lag_events",
    "Events that wait for the slowest consumers",
    STACK,
    registry=REGISTRY,
)
CERTIFICATE = Gauge(
    "signals_operator_certificate_expiry_timestamp_seconds",
    "When the first of the stack's CA certificates ends",
    STACK,
    registry=REGISTRY,
)
OF_STACK = (LAST_SUCCESS, READY, PAUSED, STALLED, LAG, CERTIFICATE)


def record_stack(namespace: str, name: str, outcome: PassOutcome, now_s: float) -> None:
    """Export the outcome of a pass; a stack that is gone is removed."""
    if outcome.again_in is None:
        forget_stack(namespace, name)
        return
    LAST_SUCCESS.labels(namespace, name).set(now_s)
    READY.labels(namespace, name).set("Ready" in outcome.true)
    facts = outcome.facts
    if facts is None:
        return
    PAUSED.labels(namespace, name).set("Paused" in outcome.true)
    STALLED.labels(namespace, name).set("Stalled" in outcome.true)
    if facts.readiness and facts.readiness.lag is not None:
        LAG.labels(namespace, name).set(facts.readiness.lag)
    if ends := [certificate.ends_at.timestamp() for certificate in facts.secrets.certificates]:
        CERTIFICATE.labels(namespace, name).set(min(ends))


def forget_stack(namespace: str, name: str) -> None:
    """Remove the stack's series."""
    for gauge in OF_STACK:
        gauge.remove_by_labels({"stack_namespace": namespace, "stack": name})


@contextmanager
def serving(address: str, port: int) -> Iterator[None]:
    """Serve the metrics while the block runs."""
    server, thread = start_http_server(port, address, REGISTRY)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
