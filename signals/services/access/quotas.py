"""Holds keys to their limits: replicas lease chunks of events from PostgreSQL and spend them in memory.

A key without limits costs nothing; one with limits a few statements a second, however many requests come.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Final, Self
from uuid import UUID

import structlog
from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection, transaction
from signals.domain.access.allowance import Allowance, Now, Wish
from signals.domain.access.limits import Exceeded, KeyLimits, quota_grant
from signals.errors import DependencyUnavailable
from signals.store.access import key_usage, rate_limits

PATIENCE_S: Final = 0.5  # guess: who waits longer for PostgreSQL goes on without it
OUTAGE_PAUSE_S: Final = 5.0  # guess: how soon PostgreSQL is asked again
IDLE_S: Final = 1.0  # what is leased of a quota and not used is given back after this
FORGOTTEN_S: Final = 600.0

log = structlog.get_logger(__name__)


class Limiting:
    """The limits of all keys in one replica; safe to use from several threads, never blocks on I/O.

    While PostgreSQL is away each replica grants each key its whole rate and a tenth of its quota.
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
        self._allowances: dict[UUID, Allowance] = {}
        self._leases: dict[UUID, tuple[Future[None], float]] = {}
        self._blind_until = float("-inf")
        self._leaser = ThreadPoolExecutor(1, thread_name_prefix="limits")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._leaser.shutdown(cancel_futures=True)

    def closed(self, key_id: UUID, limits: KeyLimits) -> Exceeded | None:
        """Return the refusal that meets this key whatever it sends, before any of it is read."""
        if not limits:
            return None
        with self._lock:
            allowance = self._allowance(key_id, limits)
            return allowance.closed(self._now()) if allowance.rate < 1 else None

    def take(self, key_id: UUID, limits: KeyLimits, count: int) -> Exceeded | Future[None] | None:
        """Take `count` events, all or none: None when taken; a future when to ask again after it.

        Wait for the future `PATIENCE_S` at most.

        Raises:
            DependencyUnavailable: when PostgreSQL is away and what may be granted without it is used up.
        """
        if not limits:
            return None
        with self._lock:
            now = self._now()
            allowance = self._allowance(key_id, limits)
            taken = allowance.take(count, now)
            if taken is False:
                if not self._is_blind(key_id, now):
                    return self._lease(key_id, now)
                taken = allowance.take_blindly(count, now)
        if taken is False:
            raise DependencyUnavailable("PostgreSQL", "the daily limit of this key cannot be checked")
        return None if taken is True else taken

    def give_back(self, key_id: UUID, limits: KeyLimits, count: int) -> None:
        """Return what was taken for events that Kafka did not acknowledge."""
        if limits and count:
            with self._lock:
                self._allowance(key_id, limits).give_back(count)

    def flush(self) -> int:
        """Settle the quota of idle keys: give back what is leased; return how many. Idle, no statement.

        Raises:
            DependencyUnavailable: what should have been given back counts as used then.
        """
        with self._lock:
            now = self._now()
            idle = {k: a for k, a in self._allowances.items() if now.monotonic_s - a.used_at > IDLE_S}
            lacking = {key_id: lack for key_id, a in idle.items() if (lack := a.settle(now))}
            for key_id, allowance in idle.items():
                if now.monotonic_s - allowance.used_at > FORGOTTEN_S and key_id not in lacking:
                    del self._allowances[key_id]
        if not lacking:
            return 0
        try:
            with transaction(self._pool) as connection:
                for key_id, events in sorted(lacking.items()):
                    key_usage.add(connection, key_id, now.today, events)
        except DependencyUnavailable:
            with self._lock:
                for key_id, events in lacking.items():
                    idle[key_id].owed += max(0, events)
            raise
        return len(lacking)

    def _now(self) -> Now:
        return Now(monotonic_s=self._clock(), at=self._calendar())

    def _allowance(self, key_id: UUID, limits: KeyLimits) -> Allowance:
        allowance = self._allowances.get(key_id)
        if allowance is None:
            allowance = self._allowances[key_id] = Allowance(limits)
        elif allowance.limits != limits:
            allowance.change(limits)
        return allowance

    def _is_blind(self, key_id: UUID, now: Now) -> bool:
        _, asked_at = self._leases.get(key_id, (None, now.monotonic_s))
        if now.monotonic_s - asked_at >= PATIENCE_S and now.monotonic_s >= self._blind_until:
            self._go_blind("no answer in time")
        return now.monotonic_s < self._blind_until

    def _go_blind(self, reason: str) -> None:
        self._blind_until = self._clock() + OUTAGE_PAUSE_S
        log.warning("limits not checked", dependency="PostgreSQL", reason=reason)

    def _lease(self, key_id: UUID, now: Now) -> Future[None]:
        """Ask PostgreSQL in the background, once however many requests wait for it."""
        if key_id in self._leases:
            return self._leases[key_id][0]
        future = self._leaser.submit(self._ask, key_id)
        self._leases[key_id] = (future, now.monotonic_s)
        return future

    def _ask(self, key_id: UUID) -> None:
        with self._lock:
            wish = self._allowances[key_id].wish(self._now())
        try:
            with transaction(self._pool) as connection:
                wait_s, of_day, used = _leased(connection, key_id, wish)
        except DependencyUnavailable as error:
            with self._lock:
                self._go_blind(error.reason)
        else:
            with self._lock:
                if wait_s > 0:
                    self._allowances[key_id].open_in(wait_s, self._now())
                else:
                    self._allowances[key_id].leased(wish, of_day, used, self._now())
        finally:
            with self._lock:
                self._leases.pop(key_id, None)


def _leased(connection: Connection, key_id: UUID, wish: Wish) -> tuple[float, int, int]:
    """Lease what is wished; return the seconds until the rate allows it, or what was leased and is used."""
    limits, name = wish.limits, f"key:{key_id}"
    chunk = float(limits.chunk)
    if wish.rate and not rate_limits.take(connection, name, limits.bucket, tokens=wish.rate, opens_at=chunk):
        lacking = chunk - rate_limits.level(connection, name, limits.bucket)
        return max(lacking, 0.001) / limits.events_per_second, 0, 0
    if not limits.events_per_day:
        return 0.0, 0, 0
    used = key_usage.lock(connection, key_id, wish.day) + wish.owed
    granted = quota_grant(limits.events_per_day, used, wish.of_day) if wish.of_day else 0
    key_usage.add(connection, key_id, wish.day, granted + wish.owed)
    return 0.0, granted, used + granted
