"""Metrics of a stack are exported until the stack is gone."""

from dataclasses import replace
from datetime import timedelta

from k8s.operator import metrics
from k8s.operator.secrets import Certificate, SecretsView
from k8s.operator.stack_reconciler import GONE, PassOutcome
from tests.unit.k8s.facts import NOW, WELL

LABELS = {"stack_namespace": "n", "stack": "demo"}
WHERE = ("n", "demo")


def _value(name: str) -> float | None:
    return metrics.REGISTRY.get_sample_value(f"signals_operator_{name}", LABELS)


def test_stack_is_shown_until_it_is_gone() -> None:
    ends = NOW + timedelta(days=3)
    secrets = SecretsView(digest="", certificates=(Certificate(place="here", ends_at=ends),))
    outcome = PassOutcome(
        again_in=timedelta(60), facts=replace(WELL, secrets=secrets), true=frozenset({"Ready", "Paused"})
    )
    metrics.record_stack(*WHERE, outcome, 7.0)
    assert _value("stack_ready") == 1
    assert _value("paused") == 1
    assert _value("stalled") == 0
    assert _value("stack_lag_events") == 0
    assert _value("last_success_timestamp_seconds") == 7.0
    assert _value("certificate_expiry_timestamp_seconds") == ends.timestamp()
    metrics.record_stack(*WHERE, GONE, 8.0)
    assert _value("stack_ready") is None
    metrics.record_stack(*WHERE, GONE, 9.0)  # removing twice is harmless
