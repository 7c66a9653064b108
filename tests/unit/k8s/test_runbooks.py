"""Every alert has a runbook."""

import pytest

from k8s.operator.manifests.monitoring import ALERTS
from tests.unit.docs.markdown import ROOT


@pytest.mark.parametrize("alert", [alert[0] for alert in ALERTS])
def test_every_alert_has_a_runbook(alert: str) -> None:
    runbooks = (ROOT / "docs/operations/runbooks.md").read_text()
    assert f"\n## {alert}\n" in runbooks
