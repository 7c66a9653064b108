"""The product's own engine in a process of its own, stepped as its actor steps it."""

import signal
import threading

from actors.loop import POLL_S
from benchmarks.peers.marks import mark, now
from signals.clients.kafka import RAW_TOPIC
from signals.clients.kafka.publisher import open_publisher
from signals.clients.postgres import open_pool
from signals.garbage import collect_less_often
from signals.services.detection import IncidentEngine
from signals.settings import KafkaSettings, PostgresSettings, RuntimeSettings

JOINING_POLL_S = 0.01  # the first step is timed too early by at most this


def main() -> None:
    """Count until a SIGTERM; the first step that finds records is marked from its beginning."""
    collect_less_often()
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    kafka, runtime = KafkaSettings.from_env(), RuntimeSettings.from_env()
    with open_pool(PostgresSettings.from_env(), size=4) as pool, open_publisher(kafka) as publisher:
        publisher.get_ready(RAW_TOPIC)
        pool.wait()
        with IncidentEngine(kafka, pool, publisher, tick_s=runtime.tick_s) as session:
            began, owned = now(), 0
            while not stopping.is_set() and not session.step(JOINING_POLL_S):
                if owned != len(session.owned()):
                    owned = len(session.owned())
                    mark("owns", events=owned)
                began = now()
            mark("first", when=began)
            while not stopping.is_set():
                session.step(POLL_S)


if __name__ == "__main__":
    main()
