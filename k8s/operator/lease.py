"""Leader election by a Lease: take it, renew it, and end the process when it is lost.

https://kubernetes.io/docs/concepts/architecture/leases/
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import structlog

from k8s.operator.cluster import LEASE, Cluster, ClusterRefused, ClusterUnavailable, Manifest

HELD_FOR: Final = timedelta(seconds=15)  # as client-go's leader election
RENEW_EVERY: Final = timedelta(seconds=5)

log = structlog.get_logger(__name__)


class LeaseLost(Exception):  # noqa: N818  # reads as what happened
    """Another operator holds the Lease, or it could not be renewed in time: end this process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedLease:
    """A Lease as read, and since when it has been unchanged, in seconds of the monotonic clock."""

    holder: str
    renewed: str
    since_s: float


def observe(lease: Manifest, before: ObservedLease | None, now_s: float) -> ObservedLease:
    """Return the Lease as read; an unchanged one keeps its time, so clocks need not agree.

    As client-go's leader election: https://pkg.go.dev/k8s.io/client-go/tools/leaderelection
    """
    spec = lease.get("spec") or {}
    holder, renewed = str(spec.get("holderIdentity") or ""), str(spec.get("renewTime") or "")
    if before and (before.holder, before.renewed) == (holder, renewed):
        return before
    return ObservedLease(holder=holder, renewed=renewed, since_s=now_s)


def decide(found: ObservedLease | None, identity: str, now_s: float) -> Literal["create", "take", "wait"]:
    """Decide the next step; a Lease is free when absent, our own, released, or not renewed in time."""
    if found is None:
        return "create"
    free = found.holder in ("", identity) or now_s - found.since_s > HELD_FOR.total_seconds()
    return "take" if free else "wait"


class LeaseHolder:
    """One Lease, held under `identity`.

    `now` is only written into the Lease, for people; all waiting goes by `clock`, in monotonic seconds.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        namespace: str,
        name: str,
        identity: str,
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._now = now
        self._clock = clock
        self._pause = pause
        self._observed: ObservedLease | None = None

    async def acquire(self) -> None:
        """Wait until this process holds the Lease."""
        while not await asyncio.to_thread(self._try):
            await self._pause(RENEW_EVERY.total_seconds() / 2)
        log.info("holding the lease", lease=self._name, identity=self._identity)

    async def keep(self) -> None:
        """Renew the Lease until cancelled.

        Raises:
            LeaseLost: another operator took the Lease, or renewal was late.
        """
        renewed_at_s = self._clock()
        while True:
            await self._pause(RENEW_EVERY.total_seconds())
            if await asyncio.to_thread(self._try):
                renewed_at_s = self._clock()
            elif self._observed and self._observed.holder not in ("", self._identity):
                raise LeaseLost(f"{self._observed.holder} holds the Lease {self._name}")
            elif self._clock() - renewed_at_s > HELD_FOR.total_seconds():
                raise LeaseLost(f"the Lease {self._name} could not be renewed")

    def release(self) -> None:
        """Release the Lease, so that the next operator need not wait; without an answer it runs out."""
        try:
            lease = self._cluster.read(LEASE, self._namespace, self._name)
            if lease and lease["spec"].get("holderIdentity") == self._identity:
                self._cluster.write_if_unchanged(lease | {"spec": lease["spec"] | {"holderIdentity": ""}})
        except (ClusterUnavailable, ClusterRefused) as error:
            log.warning("lease not released", reason=str(error))

    def _try(self) -> bool:
        """Take or renew the Lease; False when another operator holds it."""
        try:
            lease = self._cluster.read(LEASE, self._namespace, self._name)
            now_s = self._clock()
            self._observed = observe(lease, self._observed, now_s) if lease else None
            match decide(self._observed, self._identity, now_s):
                case "create":
                    return self._cluster.create(self._manifest())
                case "take":
                    return self._cluster.write_if_unchanged(self._renewed(lease or {})) is not None
                case "wait":
                    return False
        except ClusterUnavailable as error:
            log.warning("lease not renewed", reason=str(error))
            return False

    def _manifest(self) -> Manifest:
        metadata = {"name": self._name, "namespace": self._namespace}
        lease = {"apiVersion": LEASE.api_version, "kind": LEASE.kind, "metadata": metadata}
        return self._renewed(lease)

    def _renewed(self, lease: Manifest) -> Manifest:
        spec: dict[str, Any] = lease.get("spec") or {}
        at = self._now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        taken = {} if spec.get("holderIdentity") == self._identity else {"acquireTime": at}
        changed = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": int(HELD_FOR.total_seconds()),
            "renewTime": at,
        }
        return lease | {"spec": spec | taken | changed}
