"""Wakes a session when a job is announced in Kafka; a session that is woken polls PostgreSQL anyway."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import structlog

from signals.clients.kafka import JOBS_TOPIC
from signals.clients.kafka.tail import TopicTail
from signals.errors import DependencyUnavailable, SettingsError
from signals.settings import KafkaSettings

POLL_S: Final = 1.0
RETRY_S: Final = 5.0

log = structlog.get_logger(__name__)


@contextmanager
def listening(wake: Callable[[], None], *, name: str, stopping: threading.Event) -> Iterator[None]:
    """Call `wake` at each announcement of a job inside the block, from a thread of its own.

    Every process hears all of them: one that died keeps none from the others. `name` names the reader.
    """
    done = threading.Event()
    listener = threading.Thread(
        target=_listen, args=(wake, name, stopping, done), name="job-announcements", daemon=True
    )
    listener.start()
    try:
        yield
    finally:
        done.set()
        listener.join()


def _listen(wake: Callable[[], None], name: str, stopping: threading.Event, done: threading.Event) -> None:
    """Pass announcements on. Without Kafka work is only found a little later, so this never gives up."""
    while not (stopping.is_set() or done.is_set()):
        try:
            with TopicTail(KafkaSettings.from_env(), JOBS_TOPIC, name=name) as tail:
                wake()  # for what was announced before
                while not (stopping.is_set() or done.is_set() or tail.has_grown()):
                    if tail.poll(POLL_S):
                        wake()
        except (DependencyUnavailable, SettingsError) as error:
            log.warning("no announcements of jobs", reason=str(error))
            done.wait(RETRY_S)
