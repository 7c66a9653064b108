"""Arguments that our hook removes from `ray start`."""

import sys
from types import SimpleNamespace

import pytest

from signals.ray_node.start_hook import leave_out


@pytest.mark.parametrize(
    ("head", "kind", "leaner"),
    [(True, "dashboard", True), (True, "raylet", False), (False, "dashboard", False)],
)
def test_only_a_heads_dashboard_gets_a_list_of_modules(
    monkeypatch: pytest.MonkeyPatch, head: bool, kind: str, leaner: bool
) -> None:
    started: list[list[str]] = []
    services = SimpleNamespace(start_ray_process=lambda command, *_, **__: started.append(command))
    monkeypatch.setitem(sys.modules, "ray._private.services", services)
    parameters = SimpleNamespace(ray_client_server_port=10001)
    leave_out(parameters, head)
    services.start_ray_process(
        ["python", "-u", "ray/dashboard/dashboard.py", "--port=1"], kind, fate_share=True
    )
    assert parameters.ray_client_server_port is None
    assert ("signals.ray_node.dashboard" in started[0]) is leaner
    assert any(part.startswith("--modules-to-load=NodeHead,") for part in started[0]) is leaner
