"""The ai-worker as a Ray actor."""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

import structlog

from actors.consumers import Consumer
from signals.clients.kafka import JOBS_TOPIC
from signals.clients.kafka.consumer import Ownership, PartitionConsumer
from signals.clients.llm import open_model
from signals.clients.opensearch.comparison import compare
from signals.clients.opensearch.connection import open_client
from signals.clients.opensearch.index import labels_since
from signals.errors import DependencyUnavailable, SettingsError
from signals.services.summary import ComparisonSource, IncidentSummarizer, Policy
from signals.settings import KafkaSettings, ModelSettings, OpenSearchSettings

NOTICE_GROUP: Final = "signals-ai-worker"
NOTICE_POLL_S: Final = 1.0
RETRY_S: Final = 5.0

log = structlog.get_logger(__name__)


class Summarizer(Consumer):
    """Turns queued jobs into summaries; woken by notices in Kafka, and polling PostgreSQL anyway."""

    def __init__(self, name: str) -> None:
        settings = ModelSettings.from_env()
        super().__init__(name, "ai-worker", connections=settings.signals_ai_concurrency + 3)
        self.start(self._session)

    @contextmanager
    def _session(self, stopping: threading.Event) -> Iterator[IncidentSummarizer]:
        done, settings = threading.Event(), ModelSettings.from_env()
        with (
            open_model(settings) as model,
            open_client(OpenSearchSettings.from_env(), connections=settings.signals_ai_concurrency) as search,
            IncidentSummarizer(
                self.pool,
                model,
                Policy.of(settings),
                chance=random.random,
                comparison=ComparisonSource(
                    compare=partial(compare, search), labels_since=partial(labels_since, search)
                ),
            ) as summarizer,
        ):
            listener = threading.Thread(
                target=self._listen, args=(summarizer, stopping, done), name="job-notices", daemon=True
            )
            listener.start()
            try:
                yield summarizer
            finally:
                done.set()
                listener.join()

    def _listen(
        self, summarizer: IncidentSummarizer, stopping: threading.Event, done: threading.Event
    ) -> None:
        """Pass notices on. Without Kafka jobs are only found a little later, so this never gives up."""
        while not (stopping.is_set() or done.is_set()):
            try:
                with PartitionConsumer(
                    KafkaSettings.from_env(),
                    group=NOTICE_GROUP,
                    topic=JOBS_TOPIC,
                    ownership=Ownership(gained=lambda _: {}, lost=lambda _: None),
                ) as notices:
                    while not (stopping.is_set() or done.is_set()):
                        if records := notices.poll(100, NOTICE_POLL_S):
                            summarizer.wake()
                            notices.commit({record.partition: record.offset + 1 for record in records})
            except (DependencyUnavailable, SettingsError) as error:
                log.warning("no job notices", reason=str(error))
                done.wait(RETRY_S)
