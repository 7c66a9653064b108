"""Event handlers for kopf: put changed objects into the queue; they write nothing to the cluster.

Only event handlers are registered: they need no finalizer and leave no annotation behind.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any, Final

import kopf
import structlog

from k8s.operator.cluster import (
    DISRUPTION_BUDGET,
    JOB,
    NETWORK_POLICY,
    RAY_SERVICE,
    SCENARIO,
    SERVICE,
    STACK,
    Cluster,
    ResourceKind,
)
from k8s.operator.lease import LeaseHolder
from k8s.operator.manifests.naming import MANAGED_BY
from k8s.operator.work_queue import Key, WorkQueue

OURS: Final = (STACK, SCENARIO)
MADE: Final = (RAY_SERVICE, JOB, SERVICE, DISRUPTION_BUDGET, NETWORK_POLICY)
WATCH_SERVER_S: Final = 300  # a watch is restarted this often, even if its connection has silently died
WATCH_CLIENT_S: Final = 330

log = structlog.get_logger(__name__)


class Loop:
    """The queue under the Lease, as one task of kopf's process; its end ends the process."""

    def __init__(self, queue: WorkQueue, lease: LeaseHolder, stop: asyncio.Event) -> None:
        self._queue = queue
        self._lease = lease
        self._stop = stop
        self._task: asyncio.Task[None] | None = None
        self.failure: BaseException | None = None

    def start(self) -> None:
        """Start the task of the loop."""
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(self._ended)

    async def end(self) -> None:
        """Stop working, then release the Lease; kopf would wait a minute and repeat what raises."""
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await self._task
            await asyncio.to_thread(self._lease.release)

    def check(self) -> str:
        """Check that the loop runs.

        Raises:
            RuntimeError: the loop has ended; kubelet should restart the pod.
        """
        if self._task is None or self._task.done():
            raise RuntimeError("the operator's loop has ended")
        return "running"

    async def _run(self) -> None:
        await self._lease.acquire()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._queue.run())
            tasks.create_task(self._lease.keep())

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            self.failure = error
            log.error("the loop ended", error=_sentences(error))
            self._stop.set()


def _sentences(error: BaseException) -> str:
    """Return the text of an error, or the texts of a task group's errors."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(map(_sentences, error.exceptions))
    return f"{type(error).__name__}: {error}"


def owner_of(metadata: Mapping[str, Any]) -> Key | None:
    """Return the stack or scenario that this object was made for."""
    kinds = {kind.kind for kind in OURS}
    namespace = str(metadata.get("namespace", ""))
    for owner in metadata.get("ownerReferences") or []:
        if owner["kind"] in kinds:
            return Key(kind=owner["kind"], namespace=namespace, name=owner["name"])
    labels = metadata.get("labels") or {}
    if name := labels.get("app.kubernetes.io/instance"):  # retained objects have no owner
        return Key(kind=STACK.kind, namespace=namespace, name=name)
    return None


def registry_for(loop: Loop, queue: WorkQueue, cluster: Cluster) -> kopf.OperatorRegistry:
    """Register all handlers in a new registry: no module keeps state."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    def _login(**_: Any) -> kopf.ConnectionInfo:
        return kopf.ConnectionInfo(**asdict(cluster.credentials()))

    @kopf.on.startup(registry=registry)
    async def _startup(settings: kopf.OperatorSettings, **_: Any) -> None:
        settings.posting.enabled = (
            False  # the operator writes Events for people; kopf's describe its internals
        )
        settings.scanning.disabled = True  # namespaced rights only
        settings.watching.server_timeout = WATCH_SERVER_S
        settings.watching.client_timeout = WATCH_CLIENT_S
        # kopf would kill the process ten minutes after a run, although the next run is well.
        settings.process.ultimate_exiting_timeout = None
        loop.start()

    @kopf.on.cleanup(registry=registry)
    async def _cleanup(**_: Any) -> None:
        await loop.end()

    @kopf.on.probe(id="loop", registry=registry)
    async def _probe(**_: Any) -> str:
        return loop.check()

    for kind in OURS:
        _watch_own(registry, kind, queue)
    for kind in MADE:
        _watch_made(registry, kind, queue)
    return registry


def _watch_own(registry: kopf.OperatorRegistry, kind: ResourceKind, queue: WorkQueue) -> None:
    @kopf.on.event(kind.group, kind.version, kind.plural, registry=registry, id=f"own-{kind.plural}")
    async def _changed(name: str | None, namespace: str | None, **_: Any) -> None:
        queue.add(Key(kind=kind.kind, namespace=namespace or "", name=name or ""))


def _watch_made(registry: kopf.OperatorRegistry, kind: ResourceKind, queue: WorkQueue) -> None:
    @kopf.on.event(
        kind.group, kind.version, kind.plural, registry=registry, labels=MANAGED_BY, id=f"made-{kind.plural}"
    )
    async def _changed(meta: kopf.Meta, **_: Any) -> None:
        if key := owner_of(meta):
            queue.add(key)
