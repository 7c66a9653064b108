"""Leaves out of `ray start` what none of its options leaves out (`RAY_START_HOOK`)."""

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
    if head:
        _leave_out_modules()


def _leave_out_modules() -> None:
    services: Any = sys.modules["ray._private.services"]  # loaded by now: the hook runs inside `ray start`
    start = services.start_ray_process

    def start_leaner(command: list[str], process_type: str, *rest: Any, **options: Any) -> Any:
        modules = [f"--modules-to-load={','.join(DASHBOARD_MODULES)}"] if process_type == "dashboard" else []
        return start([*command, *modules], process_type, *rest, **options)

    services.start_ray_process = start_leaner
