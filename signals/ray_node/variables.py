"""The environment in which a Ray node runs: light and quick, and on a laptop closed to others."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

HOST: Final = "127.0.0.1"
"""The loopback address: everything of a local stack listens there and nowhere else."""
ON_LOOPBACK: Final = {
    # Ray takes 127.0.0.1 as it is only where it believes that it cannot form clusters; then everything of
    # it listens there and nowhere else, and a laptop may change networks (ray._private.ray_constants).
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_AUTH_MODE": "token",
}
"""For the node and all processes that connect to it."""
WHILE_IDLE: Final = {
    "RAY_worker_niceness": "0",  # 15 by default: behind everything else on a busy laptop
    "OPENBLAS_NUM_THREADS": "1",  # Ray Serve imports numpy; the product multiplies no matrices
    "MALLOC_ARENA_MAX": "2",  # many threads, little allocation: glibc's arenas would mostly lie idle
    # Once a second or faster by default: most of the idle processor time, unused here.
    "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.5",
    "RAY_metrics_report_interval_ms": "30000",
    "REPORTER_UPDATE_INTERVAL_MS": "30000",
    "EVENT_AGENT_REPORT_INTERVAL_SECONDS": "10",
    "METRICS_RECORD_INTERVAL_S": "60",
    # Off: the GCS would keep up to 100,000 of them, and our dashboard does not show them.
    "RAY_task_events_report_interval_ms": "0",
}
SERVE: Final = {
    "RAY_START_HOOK": "signals.ray_node.start_hook.leave_out",
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "serve_apps.http.short_road.middlewares",
    "RAY_SERVE_LOG_TO_STDERR": "1",
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "0.5",
    "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "1",  # 10 by default, three times: half a minute without HAProxy
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "30",  # 5 by default: too short on a starved machine
    "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
}
FAST_INGRESS: Final = {  # Linux only; the bundle is for HAProxy only (docs/adr/0007-serve-behind-haproxy.md)
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    "RAY_SERVE_HAPROXY_NBTHREAD": "1",
    "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",  # replicas count requests; else Python parses a line for each
    "RAY_SERVE_HAPROXY_TIMEOUT_SERVER_S": "30",
    # A replica that dies answers nothing: reads and events go to another one (haproxy.py).
    "RAY_SERVE_HAPROXY_RETRY_ON": "conn-failure empty-response",
    "RAY_SERVE_HAPROXY_RETRIES": "6",  # 3 by default: each idle connection to a dead replica takes one
    "RAY_SERVE_HAPROXY_OBSERVE_ERROR_LIMIT": "1",  # 3 by default, each of them a request that waits
}
IMAGE_LAUNCHER: Final = "/opt/signals/haproxy/haproxy"
CODE_MARK: Final = "SIGNALS_CODE_MARK"
"""Of Ray's runtime environment: which code a process was started for, after an upgrade of a running node."""


def ray_variables(ports: Mapping[str, int], *, token_path: Path, haproxy: Path) -> dict[str, str]:
    """Everything of Ray's that is set through the environment; `haproxy` is a folder for its files."""
    variables = ON_LOOPBACK | WHILE_IDLE | SERVE
    variables |= {
        "RAY_AUTH_TOKEN_PATH": str(token_path),
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(ports["serve_fallback"]),
        "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT": str(ports["serve_fallback_grpc"]),
        "DASHBOARD_METRIC_PORT": str(ports["ray_dashboard_metrics"]),
    }
    if sys.platform != "linux":
        return variables
    return variables | FAST_INGRESS | _haproxy_places(ports, haproxy)


def image_variables() -> dict[str, str]:
    """Ray's variables in the image; pods add only those of their cluster. A test compares.

    Its ports stay open to the cluster: the network's policy closes them there.
    """
    ours = {"RAY_AUTH_MODE": "token", "RAY_SERVE_HAPROXY_BINARY_PATH": IMAGE_LAUNCHER}
    return WHILE_IDLE | SERVE | FAST_INGRESS | ours


def _haproxy_places(ports: Mapping[str, int], folder: Path) -> dict[str, str]:
    return {
        "RAY_SERVE_HAPROXY_BINARY_PATH": str(folder / "haproxy"),
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(folder / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(folder / "admin.sock"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(folder / "metrics.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(folder),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(folder / "server-state"),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(ports["haproxy_metrics"]),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(ports["haproxy_stats"]),
    }
