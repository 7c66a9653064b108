"""A real Kubernetes control plane for one test session: built or found, on free ports, gone at its end."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from signals.local.processes.ports import free_port, is_free
from tests.k8s.control_plane.api import Api, open_api

RIG = Path(__file__).parents[1] / "rig"
CHART = Path(__file__).parents[3] / "helm" / "signals"
PORTS = 7
"""The API server's and the six that follow it (rig/env.sh)."""
EGRESS = """\
apiVersion: apiserver.k8s.io/v1beta1
kind: EgressSelectorConfiguration
egressSelections:
- name: cluster
  connection: {{proxyProtocol: HTTPConnect, transport: {{uds: {{udsName: {socket}}}}}}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPlane:
    """Where it is and how to call its tools."""

    folder: Path
    environment: Mapping[str, str]
    api: Api

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.folder / "pki" / "admin.kubeconfig"

    @property
    def socket(self) -> Path:
        """Where the API server sends what is for pods."""
        return self.folder / "pods.sock"

    def script(self, name: str, *arguments: str) -> None:
        """Run a script of the rig for this cluster; what it prints shows in a failing test."""
        subprocess.run([RIG / name, *arguments], env=self.environment, check=True)

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """kubectl or helm, as the administrator."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0 or not check, f"{' '.join(command)}: {done.stderr}"
        return done


def rig_folder() -> Path:
    """Where binaries and the state of clusters lie, outside the repository."""
    return Path(os.environ.get("RIG", "~/.cache/kube-rig")).expanduser()


def rig_environment(cluster: str, port: int) -> dict[str, str]:
    """Variables of the rig's scripts, with PATH and kubeconfig for kubectl and helm."""
    rig = rig_folder()
    found = {
        "RIG": str(rig),
        "CLUSTER": cluster,
        "PORT": str(port),
        "API_FLAGS": f"--egress-selector-config-file={rig / cluster / 'egress.yaml'}",
        "KUBECONFIG": str(rig / cluster / "pki" / "admin.kubeconfig"),
        "PATH": f"{rig / 'bin'}:{os.environ['PATH']}",
        **{f"HELM_{name}_HOME": str(rig / cluster / "helm") for name in ("CACHE", "CONFIG", "DATA")},
    }
    return {**os.environ, **found}


@contextmanager
def control_plane() -> Iterator[ControlPlane]:
    """Build the missing parts (minutes, once a machine), start everything, and remove it at the end."""
    _stop_orphans()
    cluster = f"test-{os.getpid()}"
    folder = rig_folder() / cluster
    folder.mkdir(parents=True)
    (folder / "egress.yaml").write_text(EGRESS.format(socket=folder / "pods.sock"))
    environment = rig_environment(cluster, _free_ports())
    try:
        subprocess.run([RIG / "build.sh"], env=environment, check=True)
        subprocess.run([RIG / "up.sh"], env=environment, check=True)
        api = open_api(folder / "pki" / "admin.kubeconfig")
        with api.client:
            yield ControlPlane(folder=folder, environment=environment, api=api)
    finally:
        _stop(folder)


def _free_ports() -> int:
    while True:
        first = free_port()
        if all(is_free(port) for port in range(first, first + PORTS)):
            return first


def _stop_orphans() -> None:
    """End the clusters of sessions that were killed."""
    for folder in rig_folder().glob("test-*"):
        if not Path(f"/proc/{folder.name.removeprefix('test-')}").exists():
            _stop(folder)


def _stop(folder: Path) -> None:
    subprocess.run([RIG / "down.sh", "clean"], env=rig_environment(folder.name, 0), check=True)
    shutil.rmtree(folder)
