"""A Kubernetes node on this machine, in namespaces of its own, with the product's images."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest
import yaml

from tests.k8s.control_plane.api import open_api
from tests.k8s.control_plane.control_plane import RIG, ControlPlane, rig_folder

STEPS: Final = (
    ("build.sh",),
    ("build.sh", "node"),
    ("debs.sh",),
    ("images.sh",),
    ("images.sh", "product"),
    ("node-up.sh",),
)
API_SERVER: Final = "https://10.88.0.1:6443"
"""Where the API server answers on the node's own bridge (rig/node-inner.sh)."""


@contextmanager
def node() -> Iterator[ControlPlane]:
    """Build what is missing, start the node with KubeRay on it, and end all of it.

    Fails with the rig's own sentence where the machine cannot run it.
    """
    folder = rig_folder() / "node"
    environment = {**os.environ, "RIG": str(rig_folder()), "CLUSTER": "node", "PORT": "6443"}
    environment["PYTHON"] = sys.executable
    environment["PATH"] = f"{rig_folder() / 'bin'}:{os.environ['PATH']}"
    try:
        for name, *arguments in (*STEPS, ("nsx.sh", str(RIG / "up-kuberay.sh"))):
            done = subprocess.run(
                [RIG / name, *arguments], env=environment, stderr=subprocess.PIPE, text=True
            )
            if done.returncode:
                last = done.stderr.strip().rpartition("\n")[2]
                pytest.fail(f"real pods cannot run here, {name} ended with: {last}", pytrace=False)
        outside = folder / "outside.kubeconfig"
        config = yaml.safe_load((folder / "pki" / "admin.kubeconfig").read_text())
        config["clusters"][0]["cluster"] = {"server": API_SERVER, "certificate-authority": "pki/ca.crt"}
        pair = {"client-certificate": "pki/admin.crt", "client-key": "pki/admin.key"}
        config["users"][0]["user"] = pair
        outside.write_text(yaml.safe_dump(config))
        api = open_api(outside)
        with api.client:
            yield ControlPlane(folder=folder, environment=environment | {"KUBECONFIG": str(outside)}, api=api)
    finally:
        subprocess.run([RIG / "node-down.sh"], env=environment, check=True)
        shutil.rmtree(folder, ignore_errors=True)
