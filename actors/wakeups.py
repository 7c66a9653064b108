"""Wakes a session when a job is announced in Kafka; a session that is woken polls PostgreSQL anyway."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import structlog

from signals.clients.kafka import JOBS_TOPIC
from signals.clients.kafka.consumer import Ownership, PartitionConsumer
from signals.errors import DependencyUnavailable, SettingsError
from signals.settings import KafkaSettings

POLL_S: Final = 1.0
RETRY_S: Final = 5.0

log = structlog.get_logger(__name__)


@contextmanager
def listening(wake: Callable[[], None], *, group: str, stopping: threading.Event) -> Iterator[None]:
    """Call `wake` at each announcement of a job inside the block, from a thread of its own."""
    done = threading.Event()
    listener = threading.Thread(
        target=_listen, args=(wake, group, stopping, done), name="job-announcements", daemon=True
    )
    listener.start()
    try:
        yield
    finally:
        done.set()
        listener.join()


def _listen(wake: Callable[[], None], group: str, stopping: threading.Event, done: threading.Event) -> None:
    """Pass announcements on. Without Kafka work is only found a little later, so this never gives up."""
    while not (stopping.is_set() or done.is_set()):
        try:
            with PartitionConsumer(
                KafkaSettings.from_env(),
                group=group,
                topic=JOBS_TOPIC,
                ownership=Ownership(gained=lambda _: {}, lost=lambda _: None),
            ) as announcements:
                while not (stopping.is_set() or done.is_set()):
                    if records := announcements.poll(100, POLL_S):
                        wake()
                        announcements.commit({record.partition: record.offset + 1 for record in records})
        except (DependencyUnavailable, SettingsError) as error:
            log.warning("no announcements of jobs", reason=str(error))
            done.wait(RETRY_S)
