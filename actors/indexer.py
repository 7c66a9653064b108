"""The indexer as a Ray actor."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from actors.consumers import Consumer
from signals.clients.kafka.publisher import open_publisher
from signals.clients.opensearch.connection import open_client
from signals.clients.opensearch.index import ensure_index
from signals.periodic import repeated
from signals.services.indexing import DocumentExpiry, EventIndexer, Writer, label_policy
from signals.settings import (
    KafkaSettings,
    LabelSettings,
    OpenSearchSettings,
    RetentionSettings,
    RuntimeSettings,
)

EXPIRE_EVERY_S: Final = 60.0


class Indexer(Consumer):
    """Copies the events of its partitions into OpenSearch."""

    def __init__(self, name: str) -> None:
        super().__init__(name, "indexer", connections=2)
        self._runtime = RuntimeSettings.from_env()
        self.start(self._session)

    @contextmanager
    def _session(self, _: threading.Event) -> Iterator[EventIndexer]:
        kafka = KafkaSettings.from_env()
        with open_client(OpenSearchSettings.from_env()) as client, open_publisher(kafka) as publisher:
            ensure_index(client)
            expiry = DocumentExpiry(client, keep_days=RetentionSettings.from_env().keep_events_days)
            with (
                EventIndexer(
                    kafka,
                    self.pool,
                    Writer(client),
                    publisher,
                    tick_s=self._runtime.tick_s,
                    dlq_max_share=self._runtime.dlq_max_share,
                    labels=label_policy(LabelSettings.from_env()),
                ) as session,
                repeated(expiry.round, every_s=EXPIRE_EVERY_S, name="removal of old documents"),
            ):
                yield session
