"""Programs of the chart's pods, run here as processes with those pods' rights, variables and nothing more."""

import sys
from pathlib import Path

import yaml

from tests.k8s.control_plane.api import Api
from tests.k8s.control_plane.control_plane import ControlPlane

BIN = Path(sys.executable).parent


def kubeconfig_of(cluster: ControlPlane, namespace: str, account: str, server: str | None = None) -> Path:
    """A kubeconfig with a token of the ServiceAccount, as its pods mount one; `server` stands in between."""
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    path = cluster.folder / f"{namespace}-{account}.kubeconfig"
    config["users"][0]["user"] = {"token": token_of(cluster.api, namespace, account)}
    config["clusters"][0]["cluster"]["certificate-authority"] = str(cluster.folder / "pki" / "ca.crt")
    if server is not None:
        config["clusters"][0]["cluster"] = {"server": server}
    config["contexts"][0]["context"]["namespace"] = namespace
    path.write_text(yaml.safe_dump(config))
    return path


def token_of(api: Api, namespace: str, account: str) -> str:
    """An hour's token of the ServiceAccount."""
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
    answer = api.client.post(path, json={"spec": {"expirationSeconds": 3600}})
    answer.raise_for_status()
    return str(answer.json()["status"]["token"])
