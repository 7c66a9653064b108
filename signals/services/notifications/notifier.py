"""The notifier's loop: plan from changes, then deliver with a few threads, woken or by polling."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Final, Self

from psycopg_pool import ConnectionPool

from signals.clients.outbound.senders import open_sender
from signals.clients.postgres import Connection, transaction
from signals.clients.sealing import open_seal
from signals.periodic import Interval
from signals.services.notifications.delivery import Delivery
from signals.services.notifications.planner import MAX_CHANGES, plan
from signals.services.notifications.waking import wake_due
from signals.settings import NotificationSettings
from signals.store import leases
from signals.store.notifications.notices import QUEUE

SENDERS: Final = 8  # threads: most of a send is waiting
POLL_S: Final = 0.25  # guess: how late a change that nobody announced is planned
WAKE_S: Final = 5.0  # guess: how late a snooze may end
BATCH: Final = 20  # messages that one thread sends before the loop looks for changes again


class Notifier:
    """Plans and delivers; used by one thread, as a context manager."""

    def __init__(self, pool: ConnectionPool[Connection], delivery: Delivery) -> None:
        self._pool = pool
        self._delivery = delivery
        self._changed = threading.Event()
        self._woken = threading.Event()
        self._polling = Interval(POLL_S)
        self._waking = Interval(WAKE_S)
        self._running: set[Future[int]] = set()
        self._threads = ThreadPoolExecutor(SENDERS, thread_name_prefix="notices")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(wait=True)

    def step(self, timeout_s: float) -> int:
        """Plan, let threads send what is due, and wait for one of them or for `wake`; return what was sent.

        Raises:
            DependencyUnavailable: when PostgreSQL is away; what was under way is sent again after its lease.
        """
        if self._woken.is_set() or self._polling.is_due():
            self._woken.clear()
            if self._waking.is_due():
                wake_due(self._pool, datetime.now(UTC))
            self._plan()
            while len(self._running) < SENDERS and self._is_due():
                future = self._threads.submit(self._deliver)
                future.add_done_callback(lambda _: self._changed.set())
                self._running.add(future)
        self._changed.wait(min(timeout_s, POLL_S))
        self._changed.clear()
        ended = {future for future in self._running if future.done()}
        self._running -= ended
        return sum(future.result() for future in ended)

    def wake(self) -> None:
        """End the current or next wait of `step`: a change was announced. May be called from any thread."""
        self._woken.set()
        self._changed.set()

    def owned(self) -> list[int]:
        """Return no partitions: messages are leased, not assigned."""
        return []

    def lag(self) -> int:
        """Return how many messages wait to be sent."""
        with transaction(self._pool) as connection:
            return leases.count_due(connection, QUEUE)

    def _plan(self) -> None:
        planned = MAX_CHANGES
        while planned >= MAX_CHANGES:
            with transaction(self._pool) as connection:
                planned = plan(connection, datetime.now(UTC))

    def _is_due(self) -> bool:
        return self.lag() > len(self._running)

    def _deliver(self) -> int:
        sent = 0
        while sent < BATCH and self._delivery.deliver_one():
            sent += 1
        if sent == BATCH:
            self._woken.set()
        return sent


def open_delivery(pool: ConnectionPool[Connection], chance: Callable[[], float]) -> Delivery:
    """Return a delivery as the environment says.

    Raises:
        SettingsError: naming the variable at fault.
    """
    settings = NotificationSettings.from_env()
    return Delivery(
        pool,
        open_seal(settings),
        open_sender(settings),
        link_url=settings.signals_notify_link_url,
        chance=chance,
    )
