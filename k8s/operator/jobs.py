"""Runs Jobs to completion: creates the wanted one, reads its state, retries it, removes older ones."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog

from k8s.operator.cluster import EVENT, JOB, POD, Cluster, Manifest
from k8s.operator.manifests.naming import Stack
from k8s.operator.observed import ABSENT, JobState, job_state

RETRY: Final = timedelta(seconds=30)  # guess: an unavailable server is checked again after this time
JOB_LABEL: Final = "batch.kubernetes.io/job-name"

log = structlog.get_logger(__name__)


class Jobs:
    """The Jobs of one stack in one pass."""

    def __init__(
        self, cluster: Cluster, stack: Stack, *, now: datetime, may_write: bool, settled: bool
    ) -> None:
        self._cluster = cluster
        self._stack = stack
        self._now = now
        self._may_write = may_write
        self._settled = settled

    def run(self, component: str, wanted: Manifest) -> JobState:
        """Return the state of the wanted Job, after starting or repeating it where due."""
        name = wanted["metadata"]["name"]
        found = self._cluster.list(JOB, self._stack.namespace, self._stack.selector(component))
        job = next((job for job in found if job["metadata"]["name"] == name), None)
        if self._may_write:
            for older in superseded(found, name, settled=self._settled):
                self._delete(older, "superseded")
        if job is None:
            return self._start(wanted) if self._may_write else ABSENT
        pods = self._cluster.list(POD, self._stack.namespace, {JOB_LABEL: name})
        about = {"involvedObject.kind": JOB.kind, "involvedObject.name": name}
        events = [] if pods else self._cluster.list(EVENT, self._stack.namespace, fields=about)
        state = job_state(job, pods, events)
        if self._may_write and self._is_due_again(state):
            self._delete(name, "repeated")
        return state

    def _start(self, wanted: Manifest) -> JobState:
        if self._cluster.create(wanted):
            log.info("started", job=wanted["metadata"]["name"], namespace=self._stack.namespace)
        return JobState(state="running")

    def _is_due_again(self, state: JobState) -> bool:
        ended = state.finished_at
        return state.state == "failed" and ended is not None and self._now - ended > RETRY

    def _delete(self, name: str, reason: str) -> None:
        log.info("deleted", job=name, namespace=self._stack.namespace, reason=reason)
        self._cluster.delete(JOB, self._stack.namespace, name)


def superseded(found: Sequence[Manifest], wanted: str, *, settled: bool) -> list[str]:
    """Return the Jobs of earlier specs that can be removed; running ones stay.

    Until the wanted plan is `settled`, succeeded Jobs stay: with them, reverting to an earlier spec needs
    no new pods, for which the second Ray cluster may have left no room.
    """
    ended = {"failed", "succeeded"} if settled else {"failed"}
    others = (job for job in found if job["metadata"]["name"] != wanted)
    return [job["metadata"]["name"] for job in others if job_state(job, ()).state in ended]
