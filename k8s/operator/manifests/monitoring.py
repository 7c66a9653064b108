"""Objects of the Prometheus operator: scrape targets and alerts."""

from typing import Any, Final

from k8s.operator.cluster import PROMETHEUS_RULE, SERVICE_MONITOR, Manifest
from k8s.operator.manifests.naming import Stack, manifest

Alert = tuple[str, str, str, str, str]

# name, expression over this stack, how long it must hold, severity, one sentence
ALERTS: Final[tuple[Alert, ...]] = (
    (
        "SignalsOperatorDown",  # all other alerts compare series that a dead operator does not send
        "absent(signals_operator_stack_ready{%s})",
        "10m",
        "critical",
        "Prometheus has received no metrics of the stack from its operator for ten minutes.",
    ),
    (
        "SignalsNotReady",
        "signals_operator_stack_ready{%s} == 0",
        "10m",
        "critical",
        "The stack has not been Ready for ten minutes; its condition Ready says why.",
    ),
    (
        "SignalsStalled",
        "signals_operator_stalled{%s} == 1",
        "1m",
        "critical",
        "A start or upgrade is not up in time, or is refused; condition Stalled says what to correct.",
    ),
    (
        "SignalsReconcilingFails",
        "time() - signals_operator_last_success_timestamp_seconds{%s} > 600",
        "5m",
        "warning",
        "The operator could not reconcile the stack for ten minutes; its log says why.",
    ),
    (
        "SignalsCertificateExpiring",
        "signals_operator_certificate_expiry_timestamp_seconds{%s} - time() < 14 * 86400",
        "1h",
        "warning",
        "A CA certificate expires within 14 days; put its successor into the Secret.",
    ),
    (
        "SignalsLagging",
        "min_over_time(signals_operator_stack_lag_events{%s}[15m]) > 10000",
        "5m",
        "warning",
        "More than 10,000 events have been waiting for 15 minutes; raise spec.pipeline.workers.",
    ),
    (
        "SignalsPaused",
        "signals_operator_paused{%s} == 1",
        "24h",
        "info",
        "The stack has been paused for a day; drift is not restored meanwhile.",
    ),
)


def service_monitor(stack: Stack) -> Manifest:
    """Build the ServiceMonitor of all Ray pods."""
    body = {
        "endpoints": [{"interval": "30s", "port": "metrics"}],
        "selector": {"matchLabels": stack.selector("metrics")},
    }
    return manifest(SERVICE_MONITOR, stack, stack.name, "metrics", spec=body)


def prometheus_rule(stack: Stack) -> Manifest:
    """Build the alerts; each has a runbook in docs/operations/runbooks.md."""
    of_stack = f'stack_namespace="{stack.namespace}",stack="{stack.name}"'
    group = {"name": f"signals-{stack.name}", "rules": [_rule(alert, of_stack) for alert in ALERTS]}
    return manifest(PROMETHEUS_RULE, stack, stack.name, "metrics", spec={"groups": [group]})


def _rule(alert: Alert, of_stack: str) -> dict[str, Any]:
    name, expression, held_for, severity, sentence = alert
    return {
        "alert": name,
        "annotations": {"summary": sentence},
        "expr": expression % of_stack,
        "for": held_for,
        "labels": {"severity": severity},
    }
