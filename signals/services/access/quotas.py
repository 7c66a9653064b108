"""Holds keys to their limits: replicas lease tokens from PostgreSQL and spend them in memory.

A key without limits costs nothing; one with limits a few statements a second, however many requests come.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Final, NamedTuple, Self
from uuid import UUID

import structlog
from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection, transaction
from signals.domain.access.leased_quota import LeasedQuota, LeaseRequest, Now
from signals.domain.access.limits import Exceeded, KeyLimits, quota_lease
from signals.errors import DependencyUnavailable
from signals.store.access import limits as shared_limits

LEASE_TIMEOUT_S: Final = 0.5  # guess: after it a request goes on in degraded mode
DEGRADED_S: Final = 5.0  # guess: how soon PostgreSQL is asked again
IDLE_S: Final = 1.0  # the unspent quota of a key that is idle so long is refunded
FORGOTTEN_S: Final = 600.0

log = structlog.get_logger(__name__)


class Quotas:
    """The limits of all keys in one replica; safe to use from several threads, never blocks on I/O.

    Degraded mode: while PostgreSQL is away each replica grants each key its whole rate and a tenth of its
    quota, and reports the events with the next lease.
    """

    def __init__(
        self,
        pool: ConnectionPool[Connection],
        *,
        clock: Callable[[], float] = time.monotonic,
        calendar: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._calendar = calendar
        self._lock = threading.Lock()
        self._leased: dict[UUID, LeasedQuota] = {}
        self._pending_leases: dict[UUID, _PendingLease] = {}
        self._degraded_until_s = float("-inf")
        self._leaser = ThreadPoolExecutor(1, thread_name_prefix="limits")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._leaser.shutdown(cancel_futures=True)

    def refusal(self, key_id: UUID, limits: KeyLimits) -> Exceeded | None:
        """Return the refusal of every request of this key, before its body is read."""
        if not limits:
            return None
        with self._lock:
            leased = self._of_key(key_id, limits)
            return leased.rate_refusal(self._now()) if leased.rate_tokens < 1 else None

    def reserve(self, key_id: UUID, limits: KeyLimits, count: int) -> Exceeded | Future[None] | None:
        """Reserve `count` events, all or none: None when reserved; a future when to try again after it.

        Wait for the future `LEASE_TIMEOUT_S` at most.

        Raises:
            DependencyUnavailable: when PostgreSQL is away and what degraded mode grants is used up.
        """
        if not limits:
            return None
        with self._lock:
            now = self._now()
            leased = self._of_key(key_id, limits)
            reserved = leased.reserve(count, now)
            if reserved == "short":
                if not self._is_degraded(key_id, now):
                    return self._lease(key_id, now)
                reserved = leased.reserve_degraded(count, now)
        if reserved == "short":
            raise DependencyUnavailable("PostgreSQL", "the daily limit of this key cannot be checked")
        return None if reserved == "reserved" else reserved

    def refund(self, key_id: UUID, limits: KeyLimits, count: int) -> None:
        """Return the tokens of events that Kafka did not acknowledge."""
        if limits and count:
            with self._lock:
                self._of_key(key_id, limits).refund(count)

    def flush(self) -> int:
        """Settle the quota of idle keys and return how many; without one, no statement.

        Raises:
            DependencyUnavailable: the unspent tokens then stay counted as used.
        """
        with self._lock:
            now = self._now()
            idle = {k: one for k, one in self._leased.items() if now.monotonic_s - one.used_at_s > IDLE_S}
            corrections = {k: events for k, one in idle.items() if (events := one.settle(now))}
            for key_id, leased in idle.items():
                if now.monotonic_s - leased.used_at_s > FORGOTTEN_S and key_id not in corrections:
                    del self._leased[key_id]
        if not corrections:
            return 0
        try:
            with transaction(self._pool) as connection:
                for key_id, events in sorted(corrections.items()):
                    shared_limits.add_usage(connection, key_id, now.today, events)
        except DependencyUnavailable:
            with self._lock:
                for key_id, events in corrections.items():
                    idle[key_id].report_later(max(0, events))
            raise
        return len(corrections)

    def _now(self) -> Now:
        return Now(monotonic_s=self._clock(), at=self._calendar())

    def _of_key(self, key_id: UUID, limits: KeyLimits) -> LeasedQuota:
        leased = self._leased.get(key_id)
        if leased is None:
            leased = self._leased[key_id] = LeasedQuota(limits)
        elif leased.limits != limits:
            leased.replace_limits(limits)
        return leased

    def _is_degraded(self, key_id: UUID, now: Now) -> bool:
        pending = self._pending_leases.get(key_id)
        is_late = pending is not None and now.monotonic_s - pending.since_s >= LEASE_TIMEOUT_S
        if is_late and now.monotonic_s >= self._degraded_until_s:
            self._enter_degraded_mode("no answer in time")
        return now.monotonic_s < self._degraded_until_s

    def _enter_degraded_mode(self, reason: str) -> None:
        self._degraded_until_s = self._clock() + DEGRADED_S
        log.warning("limits not checked", dependency="PostgreSQL", reason=reason)

    def _lease(self, key_id: UUID, now: Now) -> Future[None]:
        """Lease in the background, once however many requests wait for it."""
        if key_id not in self._pending_leases:
            self._pending_leases[key_id] = _PendingLease(
                self._leaser.submit(self._run_lease, key_id), now.monotonic_s
            )
        return self._pending_leases[key_id].future

    def _run_lease(self, key_id: UUID) -> None:
        with self._lock:
            request = self._leased[key_id].lease_request(self._now())
        try:
            with transaction(self._pool) as connection:
                grant = _granted(connection, key_id, request)
        except DependencyUnavailable as error:
            with self._lock:
                self._enter_degraded_mode(error.reason)
        else:
            with self._lock:
                if grant.wait_s > 0:
                    self._leased[key_id].close_for(grant.wait_s, self._now())
                else:
                    self._leased[key_id].add_lease(request, grant.quota, grant.used, self._now())
        finally:
            with self._lock:
                self._pending_leases.pop(key_id, None)


class _PendingLease(NamedTuple):
    """A lease that PostgreSQL is asked for, and since when in monotonic seconds."""

    future: Future[None]
    since_s: float


class _Grant(NamedTuple):
    """The answer to a lease request: nothing before `wait_s`, or all of the rate and `quota` of the day."""

    wait_s: float = 0.0
    quota: int = 0
    used: int = 0


def _granted(connection: Connection, key_id: UUID, request: LeaseRequest) -> _Grant:
    limits, name, lease = request.limits, f"key:{key_id}", float(request.limits.rate_lease)
    if request.rate and not shared_limits.reserve_tokens(
        connection, name, limits.bucket, tokens=request.rate, opens_at=lease
    ):
        lacking = lease - shared_limits.available_tokens(connection, name, limits.bucket)
        return _Grant(wait_s=max(lacking, 0.001) / limits.events_per_second)
    if not limits.events_per_day:
        return _Grant()
    used = shared_limits.lock_usage(connection, key_id, request.day) + request.unreported
    granted = quota_lease(limits.events_per_day, used, request.quota) if request.quota else 0
    shared_limits.add_usage(connection, key_id, request.day, granted + request.unreported)
    return _Grant(quota=granted, used=used + granted)
