"""Two nodes without containers: scheduled pods become Running, Jobs' pods end as a test decides.

Only kubelet's part is faked; scheduler and controllers are real.
"""

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

import httpx2

from tests.k8s.control_plane.api import Api, Object, RefusedError

NODES = ("fake-0", "fake-1")
CAPACITY = {"cpu": "64", "memory": "512Gi", "pods": "500"}
LEASE_S = 40
"""kubelet's own: without a fresh lease the node controller evicts a node's pods."""
WATCH_S = 300
GONE = {httpx2.codes.NOT_FOUND, httpx2.codes.CONFLICT}
"""Somebody else was faster with the pod: its next event tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a Job's pod ends, if it does; `message` is what it wrote to its termination log."""

    exit_code: int = 0
    message: str = ""
    ends: bool = True


@dataclass(slots=True, kw_only=True)
class FakeNodes:
    """Outcomes of pods as tests decide them, and the pods seen so far."""

    api: Api
    outcomes: dict[tuple[str, str], Outcome] = field(default_factory=dict)
    """By namespace and a word of the Job's name ("preflight"); any other Job's pod succeeds silently."""
    defaults: dict[str, Outcome] = field(default_factory=dict)
    """The same for every namespace that has no outcome of its own."""
    unready: set[tuple[str, str]] = field(default_factory=set)
    """Namespaces and images whose pods never become Running."""
    pods: dict[str, Object] = field(default_factory=dict)
    """The last pod seen at each address."""

    def outcome(self, namespace: str, job: str) -> Outcome:
        """The outcome that the test decided for a Job of this name."""
        for word in job.split("-"):
            if found := self.outcomes.get((namespace, word)) or self.defaults.get(word):
                return found
        return Outcome()

    def decide(self, namespace: str, word: str, outcome: Outcome) -> None:
        """Set how Jobs with this word in their name end from now on, also those whose pod runs already."""
        self.outcomes[namespace, word] = outcome
        for pod in self.api.list("pods", namespace):
            if pod["spec"].get("nodeName") in NODES:
                self.attend(pod)

    def attend(self, pod: Object) -> None:
        """Do for one pod what its kubelet would."""
        name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
        try:
            if "deletionTimestamp" in pod["metadata"]:
                self.api.delete("pods", name, namespace, grace_s=0)
            elif status := self._next_status(pod):
                self.pods[status["podIP"]] = pod
                self.api.merge("pods", name, {"status": status}, namespace, part="status")
        except RefusedError as error:
            if error.code not in GONE:
                raise

    def _next_status(self, pod: Object) -> Object | None:
        job = _job(pod)
        outcome = self.outcome(pod["metadata"]["namespace"], job) if job else Outcome(ends=False)
        phase = pod["status"]["phase"]
        images = {(pod["metadata"]["namespace"], c["image"]) for c in pod["spec"]["containers"]}
        if (
            phase in ("Succeeded", "Failed")
            or (phase == "Running" and not outcome.ends)
            or images & self.unready
        ):
            return None
        address = pod["status"].get("podIP") or next(_ADDRESSES)
        return _status(pod, address, outcome)


_ADDRESSES = (f"10.88.{n // 250}.{n % 250 + 1}" for n in itertools.count(250))


@contextmanager
def fake_nodes(api: Api) -> Iterator[FakeNodes]:
    """Both nodes, Ready, until the block ends."""
    nodes, stopped = FakeNodes(api=api), threading.Event()
    for name in NODES:
        _register(api, name)
    threads = [
        threading.Thread(target=_keep_leases, args=(api, stopped), daemon=True),
        threading.Thread(target=_watch, args=(nodes, stopped), daemon=True),
    ]
    for thread in threads:
        thread.start()
    yield nodes
    stopped.set()  # the watch ends with the API server


def _register(api: Api, name: str) -> None:
    labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
    api.create("nodes", {"metadata": {"name": name, "labels": labels}})
    held = {"holderIdentity": name, "leaseDurationSeconds": LEASE_S}
    # The node controller never sees a renewal of a Lease that had no time at first.
    lease = {"metadata": {"name": name}, "spec": held | {"renewTime": _now("microseconds")}}
    api.create("leases", lease, "kube-node-lease")
    ready = _condition("Ready", True) | {"reason": "KubeletReady", "message": "", "lastHeartbeatTime": _now()}
    status = {"capacity": CAPACITY, "allocatable": CAPACITY, "conditions": [ready]}
    api.merge("nodes", name, {"status": status}, part="status")


def _keep_leases(api: Api, stopped: threading.Event) -> None:
    while not stopped.wait(LEASE_S / 4):
        for name in NODES:
            renewed = {"spec": {"renewTime": _now("microseconds")}}
            with suppress(httpx2.TransportError):  # an API server that is slow once must not end the nodes
                api.merge("leases", name, renewed, "kube-node-lease")


def _watch(nodes: FakeNodes, stopped: threading.Event) -> None:
    while not stopped.is_set():
        try:
            for event in nodes.api.watch("pods", within_s=WATCH_S):
                pod = event["object"]
                if event["type"] in ("ADDED", "MODIFIED") and pod["spec"].get("nodeName") in NODES:
                    nodes.attend(pod)
        except httpx2.TransportError:
            if not stopped.wait(0.2):  # the API server was restarted: list and watch again
                continue


def _job(pod: Object) -> str:
    owners = pod["metadata"].get("ownerReferences", [])
    return next((owner["name"] for owner in owners if owner["kind"] == "Job"), "")


def _status(pod: Object, address: str, outcome: Outcome) -> Object:
    ready = not outcome.ends
    phase: Literal["Running", "Succeeded", "Failed"] = "Running"
    state: Object = {"running": {"startedAt": _now()}}
    if outcome.ends:
        phase = "Failed" if outcome.exit_code else "Succeeded"
        ended = {"exitCode": outcome.exit_code, "reason": "Error" if outcome.exit_code else "Completed"}
        state = {
            "terminated": {**ended, "message": outcome.message, "startedAt": _now(), "finishedAt": _now()}
        }
    common = {"imageID": "", "ready": ready, "started": ready, "restartCount": 0, "state": state}
    kinds = {"Initialized": True, "PodReadyToStartContainers": True, "ContainersReady": ready, "Ready": ready}
    return {
        "phase": phase,
        "hostIP": "127.0.0.1",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": _now(),
        "containerStatuses": [
            {"name": c["name"], "image": c["image"]} | common for c in pod["spec"]["containers"]
        ],
        "conditions": [_condition(kind, ok) for kind, ok in kinds.items()],
    }


def _condition(kind: str, ok: bool) -> Object:
    return {"type": kind, "status": str(ok), "lastTransitionTime": _now()}


def _now(precision: str = "seconds") -> str:
    return datetime.now(UTC).isoformat(timespec=precision).replace("+00:00", "Z")
