"""Changes in `ray start` what none of its options changes (`RAY_START_HOOK`)."""

import sys
from typing import Any, Final, Protocol

DASHBOARD_MODULES: Final = ("NodeHead", "ReportHead", "StateHead", "JobHead", "ServeHead")
"""What `/api/serve`, `ray job`, `ray list` and the pages of nodes and actors need.

Left out: TrainHead, DataHead, EventHead, TaskEventsHead, MetricsHead (Grafana's panels), UsageStatsHead.
"""


class RayParameters(Protocol):
    """The one field of Ray's `RayParams` that matters here."""

    ray_client_server_port: int | None


def leave_out(parameters: RayParameters, head: bool) -> None:  # Ray's signature
    """Start no Ray Client server, which costs 80 MB and a port, and of the dashboard only what is used."""
    parameters.ray_client_server_port = None
    services: Any = sys.modules["ray._private.services"]  # loaded by now: the hook runs inside `ray start`
    start = services.start_ray_process

    def start_leaner(command: list[str], process_type: str, *rest: Any, **options: Any) -> Any:
        if process_type == "dashboard" and head:
            command = _leaner_dashboard(command)
        elif process_type == "raylet":
            command = _patient_raylet(command)
        return start(command, process_type, *rest, **options)

    services.start_ray_process = start_leaner


def _leaner_dashboard(command: list[str]) -> list[str]:
    """Start our program in the place of Ray's, with fewer modules."""
    program = next(place for place, part in enumerate(command) if part.endswith("dashboard.py"))
    modules = f"--modules-to-load={','.join(DASHBOARD_MODULES)}"
    return [*command[:program], "-m", "signals.ray_node.dashboard", *command[program + 1 :], modules]


def _patient_raylet(command: list[str]) -> list[str]:
    """Tell raylet the port of its agent: it dies when the agent has not written it to a file after 15 s."""
    agent = next(part for part in command if part.startswith("--dashboard_agent_command="))
    port = next(word for word in agent.split() if word.startswith("--listen-port=")).partition("=")[2]
    return [*command, f"--dashboard_agent_listen_port={port}"]
