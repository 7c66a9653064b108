"""The tests' client of an API server: plain REST with the administrator's certificate.

Tests compare stored objects and answers verbatim, so nothing is modelled here.
"""

import base64
import json
import ssl
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import yaml

Object = dict[str, Any]
"""One Kubernetes object as JSON."""

GROUPS = {
    **dict.fromkeys(("configmaps", "events", "namespaces", "nodes", "pods", "secrets"), "api/v1"),
    **dict.fromkeys(("endpoints", "services", "serviceaccounts", "persistentvolumeclaims"), "api/v1"),
    "customresourcedefinitions": "apis/apiextensions.k8s.io/v1",
    "deployments": "apis/apps/v1",
    "jobs": "apis/batch/v1",
    "leases": "apis/coordination.k8s.io/v1",
    "networkpolicies": "apis/networking.k8s.io/v1",
    "resourcequotas": "api/v1",
    "poddisruptionbudgets": "apis/policy/v1",
    "rayclusters": "apis/ray.io/v1",
    "rayservices": "apis/ray.io/v1",
    **dict.fromkeys(("roles", "rolebindings"), "apis/rbac.authorization.k8s.io/v1"),
    **dict.fromkeys(("clusterroles", "clusterrolebindings"), "apis/rbac.authorization.k8s.io/v1"),
    **dict.fromkeys(("signalsstacks", "signalsscenarios"), "apis/signals.copilot.dev/v1alpha1"),
}
"""Where each kind that tests look at is served, by its plural."""


class RefusedError(Exception):
    """The API server refused a request, with HTTP's `code` and the server's `message`."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """A client of the API server; every method is one request."""

    client: httpx2.Client

    def get(self, plural: str, name: str, namespace: str | None = None, *, part: str = "") -> Object:
        """The object, or its subresource `part`."""
        return self._ask("GET", _path(plural, namespace, name, part))

    def find(self, plural: str, name: str, namespace: str | None = None) -> Object | None:
        """The object, or None when there is none."""
        try:
            return self.get(plural, name, namespace)
        except RefusedError as error:
            if error.code == httpx2.codes.NOT_FOUND:
                return None
            raise

    def list(self, plural: str, namespace: str | None = None, *, labels: str = "") -> list[Object]:
        """All objects of a kind, in one namespace or everywhere."""
        path = _path(plural, namespace)
        return list(self._ask("GET", path, params={"labelSelector": labels})["items"])

    def create(
        self, plural: str, manifest: Object, namespace: str | None = None, *, dry_run: bool = False
    ) -> Object:
        """A new object; a dry run goes through defaults and validation and stores nothing."""
        params = {"fieldValidation": "Strict", **({"dryRun": "All"} if dry_run else {})}
        return self._ask("POST", _path(plural, namespace), manifest, params=params)

    def replace(self, plural: str, manifest: Object, namespace: str | None = None) -> Object:
        """The object as given, whole."""
        name = manifest["metadata"]["name"]
        return self._ask("PUT", _path(plural, namespace, name), manifest)

    def merge(
        self, plural: str, name: str, change: Object, namespace: str | None = None, *, part: str = ""
    ) -> Object:
        """The object with a JSON merge patch applied."""
        headers = {"Content-Type": "application/merge-patch+json"}
        return self._ask("PATCH", _path(plural, namespace, name, part), change, headers=headers)

    def apply(self, plural: str, manifest: Object, namespace: str | None = None) -> Object:
        """Server-side apply as the field manager of the tests."""
        name = manifest["metadata"]["name"]
        headers = {"Content-Type": "application/apply-patch+yaml"}
        params = {"fieldManager": "tests", "force": "true"}
        return self._ask("PATCH", _path(plural, namespace, name), manifest, params=params, headers=headers)

    def delete(
        self, plural: str, name: str, namespace: str | None = None, *, grace_s: int | None = None
    ) -> None:
        """Begin the deletion; an object that is not there is deleted already."""
        options: Object = {"propagationPolicy": "Background"}
        if grace_s is not None:
            options["gracePeriodSeconds"] = grace_s
        try:
            self._ask("DELETE", _path(plural, namespace, name), options)
        except RefusedError as error:
            if error.code != httpx2.codes.NOT_FOUND:
                raise

    def delete_all(self, plural: str, namespace: str) -> None:
        """Begin the deletion of all objects of a kind in a namespace."""
        self._ask("DELETE", _path(plural, namespace), {"propagationPolicy": "Background"})

    def watch(self, plural: str, *, within_s: int) -> Iterator[Object]:
        """Everything there is and then every change, anywhere, until the server ends it."""
        params = {"watch": "true", "timeoutSeconds": str(within_s)}
        with self.client.stream("GET", _path(plural), params=params, timeout=within_s + 5) as response:
            for line in response.iter_lines():
                yield json.loads(line)

    def _ask(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Object:
        answer = self.client.request(method, path, json=body, params=params, headers=headers)
        found: Object = answer.json()
        if answer.is_error:
            raise RefusedError(answer.status_code, found["message"])
        return found


def open_api(kubeconfig: Path) -> Api:
    """A client with the rights of the kubeconfig's user, which authenticates by certificate."""
    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    trust = ssl.create_default_context(cadata=_text(cluster, "certificate-authority", kubeconfig))
    with tempfile.NamedTemporaryFile("w") as pair:  # the ssl module reads keys from files only
        pair.write(_text(user, "client-certificate", kubeconfig) + _text(user, "client-key", kubeconfig))
        pair.flush()
        trust.load_cert_chain(pair.name)
    return Api(client=httpx2.Client(base_url=cluster["server"], verify=trust, timeout=120, trust_env=False))


def _text(section: Mapping[str, str], key: str, kubeconfig: Path) -> str:
    if data := section.get(f"{key}-data"):
        return base64.b64decode(data).decode()
    return (kubeconfig.parent / section[key]).read_text()


def _path(plural: str, namespace: str | None = None, name: str = "", part: str = "") -> str:
    within = ("namespaces", namespace) if namespace else ()
    return "/" + "/".join(filter(None, (GROUPS[plural], *within, plural, name, part)))
