"""The notifier as a Ray actor."""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from actors.consumers import Consumer
from actors.wakeups import listening
from signals.services.notifications.notifier import CONNECTIONS, Notifier, open_delivery

NAME: Final = "signals-notifier"


class NotifierActor(Consumer):
    """Tells destinations of incidents; woken when a job is announced, and polling PostgreSQL anyway."""

    def __init__(self, name: str) -> None:
        super().__init__(name, "notifier", connections=CONNECTIONS + 1)
        self.start(self._session)

    @contextmanager
    def _session(self, stopping: threading.Event) -> Iterator[Notifier]:
        with (
            Notifier(self.pool, open_delivery(self.pool, random.random)) as notifier,
            listening(notifier.wake, name=NAME, stopping=stopping),
        ):
            yield notifier
