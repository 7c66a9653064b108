"""The API client sorts failures by the caller's duty; a failed read ends a pass before any write."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import httpx2
import pytest
from lightkube import Client, KubeConfig
from lightkube.config.models import Cluster as ServerOf
from lightkube.config.models import User

from k8s.operator.apply import apply_slot
from k8s.operator.cluster import SECRET, SERVICE, Cluster, ClusterRefused, ClusterUnavailable, KindMissing
from k8s.operator.conditions import ALWAYS, rejected
from k8s.operator.manifests.all import Slot, dependents
from k8s.operator.readiness import ConsumersReadiness
from k8s.operator.stack_reconciler import StackReconciler
from tests.unit.k8s.facts import NOW
from tests.unit.k8s.specs import DOKS, STACK, parsed

Handler = Callable[[httpx2.Request], httpx2.Response]


def _cluster(handler: Handler) -> Cluster:
    config = KubeConfig.from_one(
        cluster=ServerOf(server="http://api.example"), user=User(token="t"), namespace="n"
    )
    return Cluster(Client(config=config, transport=httpx2.MockTransport(handler)))


def _status(code: int, reason: str = "", message: str = "because") -> httpx2.Response:
    body = {"kind": "Status", "code": code, "reason": reason, "message": message}
    return httpx2.Response(code, json=body)


@pytest.mark.parametrize("code", [429, 500, 503, 504, 401, 409])
def test_temporary_status_raises_unavailable(code: int) -> None:
    with pytest.raises(ClusterUnavailable, match="because"):
        _cluster(lambda _: _status(code)).read(SECRET, "n", "s")


@pytest.mark.parametrize("code", [400, 403, 422])
def test_permanent_status_raises_refused_with_the_reason(code: int) -> None:
    with pytest.raises(ClusterRefused, match="because") as refused:
        _cluster(lambda _: _status(code)).read(SECRET, "n", "s")
    assert refused.value.status == code


def test_absent_object_is_none_and_absent_kind_is_an_error() -> None:
    assert _cluster(lambda _: _status(404, "NotFound")).read(SECRET, "n", "s") is None
    with pytest.raises(KindMissing):
        _cluster(lambda _: httpx2.Response(404, text="404 page not found")).read(SECRET, "n", "s")


def test_answer_of_a_proxy_raises_unavailable() -> None:
    with pytest.raises(ClusterUnavailable):
        _cluster(lambda _: httpx2.Response(502, text="bad gateway")).read(SECRET, "n", "s")


def test_timeout_raises_unavailable() -> None:
    def silent(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused", request=request)

    with pytest.raises(ClusterUnavailable, match="ConnectError"):
        _cluster(silent).read(SECRET, "n", "s")


def test_applying_is_server_side_with_our_name_and_force() -> None:
    seen: list[httpx2.Request] = []

    def record(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, json={"metadata": {"name": "x"}})

    manifest = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x", "namespace": "n"}}
    _cluster(record).apply(manifest)
    [request] = seen
    assert request.method == "PATCH"
    assert request.headers["Content-Type"] == "application/apply-patch+yaml"
    assert dict(request.url.params) == {"fieldManager": "signals-operator", "force": "true"}


def test_deleting_an_absent_object_succeeds() -> None:
    assert _cluster(lambda _: _status(404, "NotFound")).delete(SERVICE, "n", "s") is False


def test_creating_an_existing_object_leaves_it_unchanged() -> None:
    manifest = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x", "namespace": "n"}}
    assert _cluster(lambda _: _status(409, "AlreadyExists")).create(manifest) is False


RAW: dict[str, Any] = {
    "apiVersion": "signals.copilot.dev/v1alpha1",
    "kind": "SignalsStack",
    "metadata": {"name": "demo", "namespace": "n", "uid": "u", "generation": 1},
    "spec": DOKS,
}


@pytest.mark.parametrize("failing", ["/secrets/", "/rayservices/"])
def test_failed_read_ends_the_pass_before_any_write(failing: str) -> None:
    """A failed read of a Secret once rolled a public operator's database."""
    written: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.method != "GET":
            written.append(request.url.path)
        if failing in request.url.path:
            return _status(500)
        if "/signalsstacks/" in request.url.path:
            return httpx2.Response(200, json=RAW)
        return _status(404, "NotFound")

    stacks = StackReconciler(_cluster(answer), ask=lambda *_: ConsumersReadiness(), now=lambda: NOW)
    with pytest.raises(ClusterUnavailable):
        stacks.reconcile("n", "demo")
    assert written == []


@pytest.mark.parametrize(
    ("metadata", "ours"),
    [
        ({"labels": {"app.kubernetes.io/managed-by": "signals-operator"}}, True),
        ({"annotations": {"signals.copilot.dev/applied-hash": "h"}}, True),
        ({"labels": {"app.kubernetes.io/managed-by": "Helm"}}, False),
        ({}, False),
    ],
)
def test_object_of_another_owner_is_neither_changed_nor_deleted(metadata: dict[str, Any], ours: bool) -> None:
    written: list[str] = []
    live: dict[str, Any] = {
        "kind": "Service",
        "metadata": {"name": "demo-ingest", "namespace": "n"} | metadata,
        "spec": {},
    }

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.method != "GET":
            written.append(request.method)
        applied = live["metadata"] | {"resourceVersion": "2"}
        return httpx2.Response(200, json=live | {"metadata": applied})

    cluster = _cluster(answer)
    [wanted, *_] = [slot for slot in dependents(STACK, parsed(DOKS), None) if slot.name == "demo-ingest"]
    apply_slot(cluster, "n", Slot(kind=SERVICE, name="demo-ingest", wanted=None))
    assert written == (["DELETE"] if ours else [])
    with (
        nullcontext()
        if ours
        else pytest.raises(
            ClusterRefused,
            match=r"not made by the operator.* label app\.kubernetes\.io/managed-by: signals-op",
        )
    ):
        apply_slot(cluster, "n", wanted)
    assert written == (["DELETE", "PATCH"] if ours else [])


def test_invalid_spec_is_reported_and_nothing_else_is_written() -> None:
    written: list[httpx2.Request] = []
    broken = RAW | {"spec": DOKS | {"upgrade": {"timeout": "soon"}}}

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.method != "GET":
            written.append(request)
        return httpx2.Response(200, json=broken)

    StackReconciler(_cluster(answer), ask=lambda *_: ConsumersReadiness(), now=lambda: NOW).reconcile(
        "n", "demo"
    )
    status, *events = written
    assert status.url.path.endswith("/signalsstacks/demo/status")
    said = json.loads(status.content)["status"]["conditions"]
    assert tuple(condition["type"] for condition in said) == ALWAYS
    sentence = "spec.upgrade.timeout: 'soon' is not a duration; write it like 90s, 10m or 1h30m"
    assert [said[0][name] for name in ("status", "reason", "message")] == ["False", "Invalid", sentence]
    assert [said[-1][name] for name in ("type", "status", "reason")] == ["Ready", "False", "Invalid"]
    assert any(b"AcceptedFalse" in event.content for event in events)


def test_serving_stack_stays_ready_when_its_new_spec_is_invalid() -> None:
    before = {"type": "Ready", "status": "True", "reason": "Serving", "message": "-"}
    known = [before, before | {"type": "Degraded"}]
    verdicts = {v.type: v.status for v in rejected("spec.image: no", known)}
    assert verdicts["Ready"] == "True"
    assert verdicts["Accepted"] == "False"
    assert verdicts["Degraded"] == "True"
