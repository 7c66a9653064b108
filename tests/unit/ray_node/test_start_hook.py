"""Arguments that our hook changes in `ray start`."""

import sys
from types import SimpleNamespace

import pytest

from signals.ray_node.start_hook import leave_out


def started_as(monkeypatch: pytest.MonkeyPatch, command: list[str], kind: str, head: bool) -> list[str]:
    """Return the command that the hook makes of Ray's."""
    started: list[list[str]] = []
    services = SimpleNamespace(start_ray_process=lambda command, *_, **__: started.append(command))
    monkeypatch.setitem(sys.modules, "ray._private.services", services)
    parameters = SimpleNamespace(ray_client_server_port=10001)
    leave_out(parameters, head)
    services.start_ray_process(command, kind, fate_share=True)
    assert parameters.ray_client_server_port is None
    return started[0]


@pytest.mark.parametrize(
    ("head", "kind", "leaner"),
    [(True, "dashboard", True), (True, "gcs_server", False), (False, "dashboard", False)],
)
def test_only_a_heads_dashboard_gets_a_list_of_modules(
    monkeypatch: pytest.MonkeyPatch, head: bool, kind: str, leaner: bool
) -> None:
    started = started_as(monkeypatch, ["python", "-u", "ray/dashboard/dashboard.py", "--port=1"], kind, head)
    assert ("signals.ray_node.dashboard" in started) is leaner
    assert any(part.startswith("--modules-to-load=NodeHead,") for part in started) is leaner


@pytest.mark.parametrize("head", [True, False])
def test_raylet_learns_the_port_of_its_agent(monkeypatch: pytest.MonkeyPatch, head: bool) -> None:
    agent = "--dashboard_agent_command=python -u agent.py --grpc-port=0 --listen-port=52365 --node-id=1"
    started = started_as(monkeypatch, ["raylet", "--metrics-agent-port=1", agent], "raylet", head)
    assert started == ["raylet", "--metrics-agent-port=1", agent, "--dashboard_agent_listen_port=52365"]
