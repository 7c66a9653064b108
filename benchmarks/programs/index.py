"""The product's own indexer in a process of its own, stepped as its actor steps it."""

import signal
import threading

from actors.loop import POLL_S
from benchmarks.peers.marks import mark, now
from signals.clients.kafka import RAW_TOPIC
from signals.clients.kafka.publisher import open_publisher
from signals.clients.opensearch.connection import open_client
from signals.clients.postgres import open_pool
from signals.garbage import collect_less_often
from signals.services.indexing import EventIndexer, Writer
from signals.settings import KafkaSettings, OpenSearchSettings, PostgresSettings, RuntimeSettings

JOINING_POLL_S = 0.01  # the first step is timed too early by at most this


def main() -> None:
    """Index until a SIGTERM; the first step that finds records is marked from its beginning."""
    collect_less_often()
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    kafka = KafkaSettings.from_env()
    with (
        open_pool(PostgresSettings.from_env(), size=2) as pool,
        open_publisher(kafka) as publisher,
        open_client(OpenSearchSettings.from_env()) as client,
    ):
        publisher.get_ready(RAW_TOPIC)
        pool.wait()
        tick_s = RuntimeSettings.from_env().tick_s
        with EventIndexer(kafka, pool, Writer(client), publisher, tick_s=tick_s) as session:
            began = now()
            while not (stopping.is_set() or session.step(JOINING_POLL_S) or session.in_flight):
                began = now()
            mark("first", when=began)
            while not stopping.is_set():
                session.step(POLL_S)


if __name__ == "__main__":
    main()
