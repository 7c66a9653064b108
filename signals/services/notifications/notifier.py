"""The notifier's loop: plan from changes, and let threads send, woken or by polling.

The loop alone speaks to PostgreSQL; a thread only sends.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Final, Self

import structlog
from psycopg_pool import ConnectionPool

from signals.clients.outbound.senders import open_sender
from signals.clients.postgres import Connection, pipelined, transaction
from signals.clients.sealing import open_seal
from signals.errors import DependencyUnavailable
from signals.periodic import Interval
from signals.services.notifications.attempts import LeasedNotice, SentNotice
from signals.services.notifications.delivery import Delivery
from signals.services.notifications.planner import MAX_CHANGES, plan
from signals.services.notifications.waking import wake_due
from signals.settings import NotificationSettings
from signals.store import leases
from signals.store.notifications.notices import QUEUE

SENDERS: Final = 32  # threads: a send is waiting, and a destination that hangs keeps two of them
CONNECTIONS: Final = 2  # to PostgreSQL, of the loop and of its heartbeats: senders need none
POLL_S: Final = 0.25  # guess: how late a change that nobody announced is planned
WAKE_S: Final = 5.0  # guess: how late a snooze may end

log = structlog.get_logger(__name__)


class Notifier:
    """Plans and delivers; used by one thread, as a context manager."""

    def __init__(self, pool: ConnectionPool[Connection], delivery: Delivery) -> None:
        self._pool = pool
        self._delivery = delivery
        self._changed = threading.Event()
        self._woken = threading.Event()
        self._polling = Interval(POLL_S)
        self._waking = Interval(WAKE_S)
        self._running: set[Future[SentNotice]] = set()
        self._sent: list[SentNotice] = []
        self._resources = ExitStack()
        self._threads = ThreadPoolExecutor(SENDERS, thread_name_prefix="notices")

    def __enter__(self) -> Self:
        self._resources.enter_context(self._delivery.sender.keeping_connections())
        return self

    def __exit__(self, *_: object) -> None:
        """Await what is under way and record it, so that a stop repeats nothing."""
        self._threads.shutdown(wait=True)
        self._resources.close()
        self._collect()
        try:
            self._exchange(most=0)
        except DependencyUnavailable as error:
            log.warning("sent messages not recorded", messages=len(self._sent), reason=str(error))

    def step(self, timeout_s: float) -> int:
        """Plan, record what was sent, have threads send what is due, and wait for one or for `wake`.

        Return how many messages were recorded.

        Raises:
            DependencyUnavailable: when PostgreSQL is away; what cannot be recorded is sent again after its
                lease.
        """
        recorded, is_woken = len(self._sent), self._woken.is_set() or self._polling.is_due()
        if is_woken:
            self._woken.clear()
            if self._waking.is_due():
                wake_due(self._pool, datetime.now(UTC))
            self._plan()
        if is_woken or self._sent:
            for notice in self._exchange(most=SENDERS - len(self._running)):
                future = self._threads.submit(self._delivery.send, notice)
                future.add_done_callback(lambda _: self._changed.set())
                self._running.add(future)
        self._changed.wait(min(timeout_s, POLL_S))
        self._changed.clear()
        self._collect()
        return recorded

    def wake(self) -> None:
        """End the current or next wait of `step`: a change was announced. May be called from any thread."""
        self._woken.set()
        self._changed.set()

    def owned(self) -> list[int]:
        """Return no partitions: messages are leased, not assigned."""
        return []

    def detail(self) -> str:
        """Return what a heartbeat says of the work under way: nothing."""
        return ""

    def lag(self) -> int:
        """Return how many messages wait to be sent."""
        with transaction(self._pool) as connection:
            return leases.count_due(connection, QUEUE)

    def _plan(self) -> None:
        planned = MAX_CHANGES
        while planned >= MAX_CHANGES:
            with pipelined(self._pool) as connection:
                planned = plan(connection, datetime.now(UTC))

    def _exchange(self, *, most: int) -> list[LeasedNotice]:
        if not (self._sent or most):
            return []
        leased = self._delivery.exchange(self._sent, most=most)
        self._sent = []
        return leased

    def _collect(self) -> None:
        ended = {future for future in self._running if future.done()}
        self._running -= ended
        self._sent += [future.result() for future in ended]


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
