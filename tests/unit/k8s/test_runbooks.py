"""Whoever is woken by an alert finds a page about it."""

import pytest

from k8s.operator.manifests.monitoring import ALERTS
from tests.unit.docs.markdown import ROOT, section


@pytest.mark.parametrize("alert", [alert[0] for alert in ALERTS])
def test_every_alert_has_a_runbook(alert: str) -> None:
    runbooks = section((ROOT / "docs/kubernetes.md").read_text(), "Runbooks")
    assert f"\n### {alert}\n" in runbooks
