"""Client of the API server: read, list, apply, create, delete, and write a status.

Objects are plain manifests. It decides nothing and retries nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from json import JSONDecodeError
from pathlib import Path
from typing import Any, Final, cast

import httpx2
import msgspec
from lightkube import ApiError, Client
from lightkube.generic_resource import GenericNamespacedResource, create_namespaced_resource
from lightkube.types import CascadeType, PatchType

FIELD_MANAGER: Final = "signals-operator"
Manifest = dict[str, Any]


class ClusterUnavailable(Exception):  # noqa: N818  # reads as what happened
    """The API server did not answer, or asks for a later attempt: end this pass and retry later."""


class ClusterRefused(Exception):  # noqa: N818  # reads as what happened
    """The API server refused the request; the text gives the reason. Do not retry."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class KindMissing(ClusterRefused):
    """The API server does not know this kind: its CustomResourceDefinition is not installed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceKind:
    """A namespaced kind, as the API server names it; `group` is empty for the core."""

    group: str
    version: str
    kind: str
    plural: str

    @property
    def api_version(self) -> str:
        """As manifests write it."""
        return f"{self.group}/{self.version}" if self.group else self.version


STACK: Final = ResourceKind(
    group="signals.copilot.dev", version="v1alpha1", kind="SignalsStack", plural="signalsstacks"
)
SCENARIO: Final = ResourceKind(
    group="signals.copilot.dev", version="v1alpha1", kind="SignalsScenario", plural="signalsscenarios"
)
RAY_SERVICE: Final = ResourceKind(group="ray.io", version="v1", kind="RayService", plural="rayservices")
JOB: Final = ResourceKind(group="batch", version="v1", kind="Job", plural="jobs")
POD: Final = ResourceKind(group="", version="v1", kind="Pod", plural="pods")
SECRET: Final = ResourceKind(group="", version="v1", kind="Secret", plural="secrets")
SERVICE: Final = ResourceKind(group="", version="v1", kind="Service", plural="services")
EVENT: Final = ResourceKind(group="", version="v1", kind="Event", plural="events")
DISRUPTION_BUDGET: Final = ResourceKind(
    group="policy", version="v1", kind="PodDisruptionBudget", plural="poddisruptionbudgets"
)
NETWORK_POLICY: Final = ResourceKind(
    group="networking.k8s.io", version="v1", kind="NetworkPolicy", plural="networkpolicies"
)
SERVICE_MONITOR: Final = ResourceKind(
    group="monitoring.coreos.com", version="v1", kind="ServiceMonitor", plural="servicemonitors"
)
PROMETHEUS_RULE: Final = ResourceKind(
    group="monitoring.coreos.com", version="v1", kind="PrometheusRule", plural="prometheusrules"
)
LEASE: Final = ResourceKind(group="coordination.k8s.io", version="v1", kind="Lease", plural="leases")

KINDS: Final[Mapping[str, ResourceKind]] = {
    kind.kind: kind
    for kind in (
        *(STACK, SCENARIO, RAY_SERVICE, JOB, POD, SECRET, SERVICE, EVENT, DISRUPTION_BUDGET),
        *(NETWORK_POLICY, SERVICE_MONITOR, PROMETHEUS_RULE, LEASE),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The client's identity and its API server, for another client of this process; files where available."""

    server: str
    insecure: bool
    ca_path: str | None
    ca_data: str | None
    token: str | None = field(repr=False)
    certificate_path: str | None
    certificate_data: str | None
    private_key_path: str | None
    private_key_data: str | None = field(repr=False)


class Cluster:
    """Every call raises `ClusterUnavailable` or `ClusterRefused` when it was not done."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def credentials(self) -> Credentials:
        """Return this client's credentials; the token is read again, because it changes hourly."""
        config = self._client.config
        cluster, user = config.cluster, config.user
        assert user is not None  # the client would not have started

        def path(name: str | None) -> str | None:
            return str(config.abs_file(name)) if name else None

        return Credentials(
            server=cluster.server,
            insecure=cluster.insecure,
            ca_path=path(cluster.certificate_auth),
            ca_data=cluster.certificate_auth_data,
            token=Path(user.token_file).read_text().strip() if user.token_file else user.token,
            certificate_path=path(user.client_cert),
            certificate_data=user.client_cert_data,
            private_key_path=path(user.client_key),
            private_key_data=user.client_key_data,
        )

    def read(self, kind: ResourceKind, namespace: str, name: str) -> Manifest | None:
        """Return the object; None when it does not exist.

        Raises:
            KindMissing: its kind does not exist either.
        """
        with _sorted():
            try:
                return dict(self._client.get(_resource(kind), name, namespace=namespace))
            except ApiError as error:
                if error.status.code == 404:
                    return None
                raise

    def list(
        self,
        kind: ResourceKind,
        namespace: str,
        labels: Mapping[str, str] | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> Sequence[Manifest]:
        """Return the objects that carry these labels and have these fields.

        Raises:
            KindMissing: the kind does not exist.
        """
        with _sorted():
            found = self._client.list(
                _resource(kind), namespace=namespace, labels=cast(Any, labels), fields=cast(Any, fields)
            )
            return [dict(item) | {"apiVersion": kind.api_version, "kind": kind.kind} for item in found]

    def apply(self, manifest: Manifest) -> Manifest:
        """Set these fields, taking them over from other managers; fields no longer named are removed.

        https://kubernetes.io/docs/reference/using-api/server-side-apply/
        """
        return self._apply(_resource(KINDS[manifest["kind"]]), manifest)

    def write_status(self, manifest: Manifest) -> Manifest:
        """Replace the object's status by that of the manifest; nothing else changes."""
        status = {name: manifest[name] for name in ("apiVersion", "kind", "status")}
        identity = {name: manifest["metadata"][name] for name in ("name", "namespace")}
        resource = _resource(KINDS[manifest["kind"]]).Status
        return self._apply(resource, status | {"metadata": identity})

    def create(self, manifest: Manifest) -> bool:
        """Create the object; False when the name is taken, and the existing object stays unchanged."""
        with _sorted():
            try:
                self._client.create(_object(manifest))
            except ApiError as error:
                if error.status.code == 409 and error.status.reason == "AlreadyExists":
                    return False
                raise
        return True

    def replace_spec(self, manifest: Manifest, *, owners: Sequence[Manifest]) -> Manifest:
        """Replace the object's spec, including fields of other managers.

        Only `owners` keep their fields: a default written by another manager would otherwise stay foreign.
        """
        metadata = manifest["metadata"]
        with _sorted():
            replaced = self._client.patch(
                _resource(KINDS[manifest["kind"]]),
                metadata["name"],
                cast(
                    Any,
                    [
                        {"op": "replace", "path": "/spec", "value": manifest["spec"]},
                        {"op": "replace", "path": "/metadata/managedFields", "value": owners},
                    ],
                ),
                namespace=metadata["namespace"],
                patch_type=PatchType.JSON,
                field_manager=FIELD_MANAGER,
            )
        return dict(replaced)

    def write_if_unchanged(self, manifest: Manifest) -> Manifest | None:
        """Write the object unless its resourceVersion has changed since the read; None when it has."""
        with _sorted():
            try:
                return dict(self._client.replace(_object(manifest)))
            except ApiError as error:
                if error.status.code in (404, 409):
                    return None
                raise

    def delete(self, kind: ResourceKind, namespace: str, name: str) -> bool:
        """Delete the object and, in the background, its dependents; False when the object does not exist."""
        with _sorted():
            try:
                self._client.delete(
                    _resource(kind), name, namespace=namespace, cascade=CascadeType.BACKGROUND
                )
            except ApiError as error:
                if error.status.code == 404:
                    return False
                raise
        return True

    def _apply(self, resource: Any, manifest: Manifest) -> Manifest:
        metadata = manifest["metadata"]
        with _sorted():
            applied = self._client.patch(
                resource,
                metadata["name"],
                manifest,
                namespace=metadata["namespace"],
                patch_type=PatchType.APPLY,
                field_manager=FIELD_MANAGER,
                force=True,
            )
        return dict(applied)


@contextmanager
def open_cluster() -> Iterator[Cluster]:
    """Connect as the pod's service account or, outside a cluster, by the kubeconfig."""
    with Client() as client:
        yield Cluster(client)


@cache
def _resource(kind: ResourceKind) -> type[GenericNamespacedResource]:
    return create_namespaced_resource(kind.group, kind.version, kind.kind, kind.plural)


def _object(manifest: Manifest) -> GenericNamespacedResource:
    return cast(GenericNamespacedResource, _resource(KINDS[manifest["kind"]]).from_dict(manifest))


@contextmanager
def _sorted() -> Iterator[None]:
    """Sort errors by what the caller must do."""
    try:
        yield
    except ApiError as error:
        code = error.status.code or error.response.status_code
        message = error.status.message or f"the API server answered {code}"
        if code in (429, 409) or code >= 500 or code == 401:
            raise ClusterUnavailable(message) from error
        raise ClusterRefused(message, status=code) from error
    except httpx2.HTTPStatusError as error:
        code = error.response.status_code
        if code == 429 or code >= 500:
            raise ClusterUnavailable(f"the API server answered {code}") from error
        if code == 404:  # a missing object would be reported as a Status in JSON
            raise KindMissing(f"the API server does not know {error.request.url.path}", status=404) from error
        raise ClusterRefused(f"the API server answered {code}", status=code) from error
    except httpx2.HTTPError as error:
        raise ClusterUnavailable(f"the API server did not answer: {type(error).__name__}") from error
    except (msgspec.DecodeError, JSONDecodeError) as error:  # cut off: an object, or the text of an error
        raise ClusterUnavailable("the API server's answer is not JSON") from error
