"""The Ray node of the local stack: started as a child of ours, on loopback, with light settings."""

import hashlib
import http.client
import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from signals.local.errors import LocalStackError
from signals.local.folder import StackFolder, State
from signals.local.ports import HOST, free_port, is_free
from signals.local.process import ChildProcess, Command

NAME: Final = "ray"
READY_WITHIN_S: Final = 90.0
DEPLOY_WITHIN_S: Final = 120.0  # the first request starts Serve itself
OBJECT_STORE_BYTES: Final = 80_000_000  # events never go through it (design: Ray)
DEFAULT_PORTS: Final = {
    "http": 8000,
    "ray_dashboard": 8265,
    "ray_gcs": 6379,
    "ray_agent": 52365,
    "ray_client": 10001,
    "haproxy_metrics": 9101,
    "haproxy_stats": 8404,
    "serve_fallback": 8500,
    "serve_fallback_grpc": 9500,
}
# Ray replaces 127.0.0.1 by an address of the network, and dies when a laptop changes networks.
NODE_IP: Final = "127.0.0.2" if sys.platform == "linux" else HOST
SERVE_CONFIG: Final = Path(__file__).parents[2] / "serve_apps" / "config.yaml"


class RayHead:
    """One Ray node with Serve on it; `state.ports` says where. `process` holds the node."""

    def __init__(self, *, folder: StackFolder, state: State) -> None:
        self.folder = folder
        self.state = state
        self.process = ChildProcess(name=NAME, pid_path=folder.pid_path(NAME), log_path=folder.log_path(NAME))

    @property
    def address(self) -> str:
        """Ray's own address, for `RAY_ADDRESS`."""
        return f"{NODE_IP}:{self.state.ports['ray_gcs']}"

    @property
    def dashboard_url(self) -> str:
        """Where people watch actors."""
        return f"http://{HOST}:{self.state.ports['ray_dashboard']}"

    @property
    def http_url(self) -> str:
        """Where both APIs answer."""
        return f"http://{HOST}:{self.state.ports['http']}"

    @property
    def temp(self) -> Path:
        """Ray's session folder. HAProxy puts 68 characters behind ours and takes 97 in all."""
        name = hashlib.sha256(str(self.folder.root).encode()).hexdigest()[:8]
        return Path("/tmp") / f"signals-{name}"  # noqa: S108  # short by necessity; Ray makes its own folder there

    def choose_ports(self, wanted: Mapping[str, int]) -> list[str]:
        """Keep known ports and find the others; returns a note for each default that is taken.

        Raises:
            LocalStackError: when a wanted port is in use.
        """
        notes = []
        for name, default in DEFAULT_PORTS.items():
            port = wanted.get(name) or self.state.ports.get(name, default)
            if not is_free(port):
                if name in wanted:
                    raise LocalStackError(
                        f"port {port} for {name} is in use: stop what uses it or choose another"
                    )
                taken, port = port, free_port()
                if name in ("http", "ray_dashboard"):
                    notes.append(f"port {taken} is in use, so {name.replace('_', ' ')} is on {port}")
            self.state.ports[name] = port
        return notes

    def start(self, environment: Mapping[str, str], *, tie_to_parent: bool = False) -> None:
        """Start the node and wait for its dashboard; every process of it inherits `environment`.

        Raises:
            LocalStackError: it died or did not answer in time.
        """
        if self.temp.exists():
            shutil.rmtree(self.temp)  # sessions of earlier starts
        self.process.start(self._command(environment), tie_to_parent=tie_to_parent)
        self.process.wait_until_ready(self._answers, READY_WITHIN_S)

    def deploy(self) -> None:
        """Hand the Serve configuration to the node, with our port; Serve then starts in the background.

        Source: https://docs.ray.io/en/latest/serve/api/index.html#serve-rest-api
        """
        config = yaml.safe_load(SERVE_CONFIG.read_text())
        config["http_options"] |= {"host": HOST, "port": self.state.ports["http"]}
        status, answer = self._dashboard("PUT", "/api/serve/applications/", json.dumps(config))
        if status != http.client.OK:
            raise LocalStackError(f"Ray Serve refused the configuration: {answer[:300]}")

    def applications(self) -> dict[str, Any]:
        """Ask what Serve runs, by application.

        Raises:
            OSError: when the dashboard does not answer.
        """
        _, answer = self._dashboard("GET", "/api/serve/applications/")
        applications = json.loads(answer)["applications"]
        assert isinstance(applications, dict)
        return applications

    def _command(self, environment: Mapping[str, str]) -> Command:
        ports = self.state.ports
        argv = (
            *_hold_in_foreground((sys.executable, "-m", "ray.scripts.scripts", "start", "--head")),
            *(f"--node-ip-address={NODE_IP}", f"--port={ports['ray_gcs']}", f"--temp-dir={self.temp}"),
            *("--include-dashboard=true", f"--dashboard-host={HOST}"),
            f"--dashboard-port={ports['ray_dashboard']}",
            f"--dashboard-agent-listen-port={ports['ray_agent']}",
            f"--object-store-memory={OBJECT_STORE_BYTES}",
            f"--ray-client-server-port={ports['ray_client']}",
            *("--no-monitor", "--include-log-monitor=false"),  # 50 MB each; nobody here reads them
            "--disable-usage-stats",
        )
        return Command(argv=argv, env=os.environ | environment | self._ray_variables(), cwd=self.folder.root)

    def _ray_variables(self) -> dict[str, str]:
        """Serve's fast path, quick ends, and places that two stacks on one machine do not share."""
        haproxy = self.temp / "h"
        haproxy.mkdir(parents=True, exist_ok=True)
        variables = {
            "RAY_worker_niceness": "0",  # 15 by default: behind everything else on a busy laptop
            "OPENBLAS_NUM_THREADS": "1",  # Ray Serve imports numpy; nobody multiplies matrices here
            "MALLOC_ARENA_MAX": "2",  # many threads, little allocation: glibc's arenas would mostly lie idle
            # Once a second or faster by default: most of the idle processor time, for nobody here.
            "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.5",
            "RAY_task_events_report_interval_ms": "10000",
            "RAY_metrics_report_interval_ms": "30000",
            "RAY_AUTH_MODE": "disabled",  # explicit: the default differs between Ray's launchers
            "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
            "RAY_SERVE_LOG_TO_STDERR": "1",
            "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "0.5",
            "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
            "RAY_SERVE_HAPROXY_NBTHREAD": "1",
            "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(haproxy / "haproxy.cfg"),
            "RAY_SERVE_HAPROXY_SOCKET_PATH": str(haproxy / "admin.sock"),
            "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(haproxy),
            "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(haproxy / "server-state"),
            "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(self.state.ports["serve_fallback"]),
            "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT": str(self.state.ports["serve_fallback_grpc"]),
            "RAY_SERVE_HAPROXY_METRICS_PORT": str(self.state.ports["haproxy_metrics"]),
            "RAY_SERVE_HAPROXY_STATS_PORT": str(self.state.ports["haproxy_stats"]),
        }
        if sys.platform == "linux":
            return variables | {"RAY_SERVE_ENABLE_HA_PROXY": "1"}
        del variables["RAY_SERVE_THROUGHPUT_OPTIMIZED"]  # without HAProxy the bundle is a trap (design: Ray)
        return variables

    def _answers(self) -> bool:
        try:
            return self._dashboard("GET", "/api/version")[0] == http.client.OK
        except OSError:
            return False

    def _dashboard(self, method: str, path: str, body: str | None = None) -> tuple[int, str]:
        connection = http.client.HTTPConnection(
            HOST, self.state.ports["ray_dashboard"], timeout=DEPLOY_WITHIN_S
        )
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode("utf-8", "replace")
        finally:
            connection.close()


def _hold_in_foreground(ray_start: tuple[str, ...]) -> tuple[str, ...]:
    if sys.platform == "linux":
        return (sys.executable, "-m", "signals.local.ray_node", *ray_start)
    return (*ray_start, "--block")
