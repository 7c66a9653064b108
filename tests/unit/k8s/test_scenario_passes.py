"""One pass over a scenario: each obstacle becomes a message of its conditions."""

import base64
import json
from collections.abc import Callable
from typing import Any, Final

import httpx2
import pytest
from lightkube import Client, KubeConfig
from lightkube.config.models import Cluster as ServerOf
from lightkube.config.models import User

from k8s.operator.cluster import Cluster
from k8s.operator.scenario.core_api import Question
from k8s.operator.scenario.expectations import IncidentLookup
from k8s.operator.scenario.reconciler import ScenarioReconciler
from tests.unit.k8s.facts import NOW
from tests.unit.k8s.scenario_specs import LOADGEN, REPLAY

EXPECT: Final = {"incidentWithin": "5m", "readKeyRef": {"name": "keys", "key": "read"}}
SENDING: Final[dict[str, Any]] = {
    "metadata": {"name": "spike", "namespace": "shop", "ownerReferences": [{"uid": "u"}]},
    "spec": {"completions": 1},
    "status": {"startTime": "2026-01-01T11:59:00Z"},
}
REFUSAL: Final = "Job.batch is invalid: spec.completionMode"


def _conditions(
    spec: dict[str, Any], answer: Callable[[httpx2.Request], httpx2.Response]
) -> dict[str, tuple[str, str, str]]:
    """Return the conditions that one pass writes, with these answers about all objects but the scenario."""
    raw: dict[str, Any] = {
        "apiVersion": "signals.copilot.dev/v1alpha1",
        "kind": "SignalsScenario",
        "metadata": {"name": "spike", "namespace": "shop", "uid": "u", "generation": 1},
        "spec": spec,
    }
    written: dict[str, Any] = {}

    def serve(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("/spike/status"):
            written.update(json.loads(request.content)["status"])
        elif "/signalsscenarios/" not in request.url.path:
            return answer(request)
        return httpx2.Response(200, json=raw)

    def ask(_: Question) -> IncidentLookup:
        raise AssertionError("core-api must not be asked")

    config = KubeConfig.from_one(cluster=ServerOf(server="http://api.example"), user=User(token="t"))
    with Client(config=config, transport=httpx2.MockTransport(serve)) as client:
        ScenarioReconciler(Cluster(client), ask=ask, now=lambda: NOW).reconcile("shop", "spike")
    return {c["type"]: (c["status"], c["reason"], c["message"]) for c in written["conditions"]}


def _status(code: int, reason: str, message: str = "") -> httpx2.Response:
    return httpx2.Response(code, json={"kind": "Status", "code": code, "reason": reason, "message": message})


def test_invalid_spec_is_reported_by_field() -> None:
    spec = LOADGEN | {"loadgen": LOADGEN["loadgen"] | {"duration": "1d"}}
    said = _conditions(spec, lambda _: _status(404, "NotFound"))
    sentence = "spec.loadgen.duration: '1d' is not a duration; write it like 90s, 10m or 1h30m"
    assert said["Succeeded"] == said["Verified"] == ("Unknown", "Invalid", sentence)


def test_refused_job_is_reported_with_the_message_of_the_api_server() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        return _status(404, "NotFound") if request.method == "GET" else _status(422, "Invalid", REFUSAL)

    said = _conditions(REPLAY, answer)
    assert said["Succeeded"] == said["Verified"] == ("Unknown", "Refused", REFUSAL)


@pytest.mark.parametrize("key", ["sig_read_ü".encode(), b"\xff\xfe"], ids=["not ASCII", "not UTF-8"])
def test_non_ascii_read_key_is_reported(key: bytes) -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        if "/secrets/" in request.url.path:
            return httpx2.Response(200, json={"data": {"read": base64.b64encode(key).decode()}})
        if request.url.path.endswith("/pods"):
            return httpx2.Response(200, json={"items": []})
        return httpx2.Response(200, json=SENDING)

    status, reason, message = _conditions(LOADGEN | {"expect": EXPECT}, answer)["Verified"]
    assert (status, reason) == ("Unknown", "Running")
    assert "key read of Secret keys is not ASCII" in message
