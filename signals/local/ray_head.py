"""The Ray node of the local stack: started as a child of ours, on loopback, with light settings."""

import hashlib
import os
import secrets
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import psutil

from signals.local.errors import LocalStackError, NotReadyError, PortTakenError
from signals.local.files import make_private_folder, replace_file
from signals.local.folder import StackFolder, StackState
from signals.local.processes.ports import free_port, is_free
from signals.local.processes.process import STOP_WITHIN_S, ChildProcess, Command
from signals.local.processes.process_tree import port_taken
from signals.local.ray_dashboard import Dashboard
from signals.ray_node.haproxy import renew_haproxy_launcher, write_haproxy_launcher
from signals.ray_node.serve_file import read_serve_file
from signals.ray_node.variables import CODE_MARK, HOST, ON_LOOPBACK, ray_variables

NAME: Final = "ray"
QUIET_START_S: Final = 120.0  # without a new line in its log
OF_NODE: Final = "RAY_SERVE_HAPROXY_BINARY_PATH"
"""A variable that only the node's own processes have, with a value of this stack."""
OBJECT_STORE_BYTES: Final = 80_000_000  # guess: events never go through it
DEFAULT_PORTS: Final = {
    "http": 8000,
    "ray_dashboard": 8265,
    "ray_dashboard_metrics": 44227,
    "ray_gcs": 6379,
    "ray_agent": 52365,
    "ray_agent_grpc": 52366,
    "ray_runtime_env": 52367,
    "ray_metrics": 8090,
    "haproxy_metrics": 9101,
    "haproxy_stats": 8404,
    "serve_fallback": 8500,
    "serve_fallback_grpc": 9500,
}
SERVE_CONFIG: Final = Path(__file__).parents[2] / "serve_apps" / "config.yaml"


def ray_folder(folder: StackFolder) -> Path:
    """A folder with a short path, for sockets: HAProxy puts 68 characters behind it and takes 97 in all."""
    name = hashlib.sha256(str(folder.root).encode()).hexdigest()[:8]
    return Path("/tmp") / f"signals-{name}"  # noqa: S108  # made for us alone, or refused


def ray_process(folder: StackFolder) -> ChildProcess:
    """The process that holds the stack's Ray node, running or not."""
    return ChildProcess(name=NAME, pid_path=folder.pid_path(NAME), log_path=folder.log_path(NAME))


class RayHead:
    """One Ray node with Serve on it; `state.ports` says where. `process` holds the node."""

    def __init__(self, *, folder: StackFolder, state: StackState) -> None:
        self.folder = folder
        self.state = state
        self.process = ray_process(folder)

    @property
    def address(self) -> str:
        """Ray's own address, for `RAY_ADDRESS`."""
        return f"{HOST}:{self.state.ports['ray_gcs']}"

    @property
    def dashboard_url(self) -> str:
        """Where people watch actors."""
        return f"http://{HOST}:{self.state.ports['ray_dashboard']}"

    @property
    def http_url(self) -> str:
        """Where both APIs answer."""
        return f"http://{HOST}:{self.state.ports['http']}"

    @property
    def client_variables(self) -> dict[str, str]:
        """Variables that people, tools and drivers need to reach this node and to authenticate."""
        return ON_LOOPBACK | {
            "RAY_ADDRESS": self.address,
            "RAY_AUTH_TOKEN_PATH": str(self.folder.ray_token_path),
            "RAY_DASHBOARD_URL": self.dashboard_url,
            "RAY_METRICS_URL": f"http://{HOST}:{self.state.ports['ray_metrics']}/metrics",
        }

    @property
    def dashboard(self) -> Dashboard:
        """A client of its dashboard."""
        path = self.folder.ray_token_path
        token = path.read_text() if path.exists() else ""  # none before the first start
        port = self.state.ports["ray_dashboard"]
        return Dashboard(port=port, token=token, is_node_running=self.process.is_running)

    @property
    def temp(self) -> Path:
        """Where Ray's session and its sockets lie."""
        return ray_folder(self.folder)

    def choose_ports(self, wanted: Mapping[str, int], *, keeps_http: bool = False) -> list[str]:
        """Keep known ports and find the others; returns a note for each default that is taken.

        With `keeps_http` clients know the port of both APIs, so it does not change.

        Raises:
            LocalStackError: when a wanted port, or one that is kept, is in use.
        """
        notes = [
            self._choose_port(name, wanted, is_kept=keeps_http and name == "http") for name in DEFAULT_PORTS
        ]
        return [note for note in notes if note]

    def leave_http_port(self, wanted: Mapping[str, int]) -> str:
        """Choose another port for HTTP than the one in use; return a note.

        Raises:
            LocalStackError: when just that one is wanted.
        """
        return self._choose_port("http", wanted)

    def _choose_port(self, name: str, wanted: Mapping[str, int], *, is_kept: bool = False) -> str:
        port = wanted.get(name) or self.state.ports.get(name, DEFAULT_PORTS[name])
        if is_free(port):
            self.state.ports[name] = port
            return ""
        if is_kept or name in wanted:
            raise LocalStackError(port_taken(name, port, is_kept=is_kept))
        self.state.ports[name] = free_port()
        if name not in ("http", "ray_dashboard"):
            return ""
        return f"port {port} is in use, so {name.replace('_', ' ')} is on {self.state.ports[name]}"

    def end_leftovers(self) -> None:
        """Kill what a node left behind whose holder was killed: it has the ports, and its actors go on."""
        left = [process for process in psutil.process_iter() if _variable(process, OF_NODE) == self._launcher]
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=STOP_WITHIN_S)

    def start(self, environment: Mapping[str, str], *, tie_to_parent: bool = False) -> None:
        """Start the node and wait for its dashboard; every process of it inherits `environment`.

        Raises:
            PortTakenError: it died, because another program took one of its ports.
            DiedError: it died of something else.
            NotReadyError: it is late, and goes on running.
        """
        make_private_folder(self.temp)  # anew: sessions of earlier starts are of no use
        if sys.platform == "linux":
            write_haproxy_launcher(Path(self._launcher))
        if not self.folder.ray_token_path.exists():
            replace_file(self.folder.ray_token_path, secrets.token_urlsafe(32))
        self.process.start(self._command(environment), tie_to_parent=tie_to_parent)
        try:
            self.wait_until_ready()
        except NotReadyError:
            raise
        except LocalStackError as error:
            self.end_leftovers()
            if taken := [name for name in DEFAULT_PORTS if not is_free(self.state.ports[name])]:
                port = self.state.ports[taken[0]]
                raise PortTakenError(f"another program took port {port} while Ray started") from error
            raise

    def wait_until_ready(self) -> None:
        """Return once the dashboard answers.

        Raises:
            DiedError: the node died.
            NotReadyError: it is late, and goes on running.
        """
        self.process.wait_until_ready(self.dashboard.answers, QUIET_START_S)

    def deploy(self, mark: str = "", *, only: str | None = None) -> None:
        """Hand the Serve configuration to the node, with our port; Serve then starts in the background.

        Another `mark` than before replaces what runs: each process of the new code is a new one. With `only`
        the other applications stay as they are.

        Raises:
            DiedError: the node has died.
            LocalStackError: it refuses, or accepts nothing for two minutes.
            SettingsError: when `SIGNALS_CONSOLE` names no place.
        """
        config = read_serve_file(SERVE_CONFIG)
        config["http_options"] |= {"host": HOST, "port": self.state.ports["http"]}
        if mark:
            if sys.platform == "linux":
                renew_haproxy_launcher(Path(self._launcher))
            for application in config["applications"]:
                application["runtime_env"] = {"env_vars": {CODE_MARK: mark}}
        if only is not None:
            running = self.applications()
            config["applications"] = [
                new if new["name"] == only else running.get(new["name"], {}).get("deployed_app_config") or new
                for new in config["applications"]
            ]
        self.dashboard.deploy(config)

    def applications(self) -> dict[str, Any]:
        """The state of Serve's applications, by name.

        Raises:
            LocalStackError: when the dashboard does not say.
        """
        return self.dashboard.applications()

    def _command(self, environment: Mapping[str, str]) -> Command:
        ports = self.state.ports
        argv = (
            *_hold_in_foreground((sys.executable, "-m", "ray.scripts.scripts", "start", "--head")),
            # Below ours, because Ray opens its own folder to all accounts.
            *(f"--node-ip-address={HOST}", f"--port={ports['ray_gcs']}", f"--temp-dir={self.temp / 'r'}"),
            *("--include-dashboard=true", f"--dashboard-host={HOST}"),
            f"--dashboard-port={ports['ray_dashboard']}",
            f"--dashboard-agent-listen-port={ports['ray_agent']}",
            f"--metrics-export-port={ports['ray_metrics']}",
            # raylet dies when an agent that chooses its own port is later than 15 s (port_persistence.h)
            f"--dashboard-agent-grpc-port={ports['ray_agent_grpc']}",
            f"--runtime-env-agent-port={ports['ray_runtime_env']}",
            f"--object-store-memory={OBJECT_STORE_BYTES}",
            *("--no-monitor", "--include-log-monitor=false"),  # 50 MB each; unused here
            "--disable-usage-stats",
        )
        inherited = {name: value for name, value in os.environ.items() if name != "RAY_AUTH_TOKEN"}
        ours = ray_variables(ports, token_path=self.folder.ray_token_path, haproxy=self._haproxy)
        return Command(argv=argv, env={**inherited, **environment, **ours}, cwd=self.folder.root)

    @property
    def _haproxy(self) -> Path:
        return self.temp / "h"

    @property
    def _launcher(self) -> str:
        return str(self._haproxy / "haproxy")


def _variable(process: psutil.Process, name: str) -> str | None:
    try:
        return process.environ().get(name)
    except psutil.Error:  # it has ended meanwhile, or is another account's
        return None


def _hold_in_foreground(ray_start: tuple[str, ...]) -> tuple[str, ...]:
    if sys.platform == "linux":
        return (sys.executable, "-m", "signals.ray_node.holder", *ray_start)
    return (*ray_start, "--block")
