"""Publishes records and tells when the brokers have acknowledged them."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from signals.clients.kafka.broker_faults import BrokerFaults, describe
from signals.clients.kafka.connection import MAX_RECORD_BYTES, connection_config
from signals.clients.kafka.in_flight import InFlightRecords
from signals.errors import DependencyUnavailable
from signals.settings import KafkaSettings

MESSAGE_TIMEOUT_MS: Final = 5_000  # a request never hangs longer than this on Kafka
QUEUE_KBYTES: Final = 65_536  # byte budget of what is not yet acknowledged; beyond it: back-pressure
LINGER_MS: Final = 1  # guess: throughput comes from requests in flight, not from waiting
POLL_S: Final = 0.1
RECONNECT_MS: Final = 500  # guess: how late a broker's return may be noticed
AWAY: Final = "Kafka acknowledges nothing at the moment"

Headers = list[tuple[str, str | bytes | None]]


class OutgoingRecord(NamedTuple):
    """One record to publish; its key decides the partition (murmur2), none any; time 0 stands for now."""

    key: bytes | None
    value: bytes
    headers: Headers | None = None
    timestamp_ms: int = 0


@dataclass(slots=True)
class _Settlement:
    """Counts down the records of one call; `failed` holds the values that were given up, and why."""

    records: Sequence[OutgoingRecord]
    done: Callable[[list[str | None]], None]
    open: int
    failed: list[tuple[bytes, str]]

    def errors(self) -> list[str | None]:
        """Return one entry a record; of records alike it does not matter which one failed."""
        errors: list[str | None] = [None] * len(self.records)
        if not self.failed:
            return errors
        places: defaultdict[bytes, list[int]] = defaultdict(list)
        for place, record in enumerate(self.records):
            places[record.value].append(place)
        for value, reason in self.failed:
            errors[places[value].pop()] = reason
        return errors


class Publisher:
    """An idempotent producer (`acks=all`) whose acknowledgements a thread of its own serves, or the caller.

    The thread takes the interpreter's lock once a record. In a process that is busy with Python that
    costs more than the records themselves, and milliseconds of waiting: let its main thread `poll`.
    """

    def __init__(self, producer: Producer, *, polls_itself: bool = True) -> None:
        self._producer = producer
        self._in_flight = InFlightRecords()
        self._lock = threading.Lock()  # of what is in flight and of settlements
        self._broken: str | None = None
        self._stopping = threading.Event()
        self._poller = threading.Thread(target=self._poll, name="kafka-acks", daemon=True)
        if polls_itself:
            self._poller.start()

    def publish(
        self, topic: str, records: Sequence[OutgoingRecord], done: Callable[[list[str | None]], None]
    ) -> None:
        """Queue `records` and call `done` once, when each is acknowledged or has failed.

        `done` receives one entry a record, None or the reason, and runs in the thread that polls (or
        here, when nothing could be queued): it must not block. While Kafka acknowledges nothing,
        everything but a probe fails at once.
        """
        if not self._may_queue(len(records)):
            done([AWAY] * len(records))
            return
        settlement = _Settlement(records, done, len(records), [])

        def delivered(error: KafkaError | None, message: Message) -> None:
            self._settle(settlement, None if error is None else (message.value() or b"", error.str()))

        for record in records:
            if refused := self._refused(topic, record, delivered):
                self._settle(settlement, (record.value, refused))

    def poll(self) -> bool:
        """Serve what the brokers have answered by now, without waiting; say whether records still wait."""
        self._serve(0)
        return self._in_flight.records > 0

    def get_ready(self, topic: str, *, within_s: float = MESSAGE_TIMEOUT_MS / 1000) -> None:
        """Connect and learn where the topic's partitions are, so that the first record need not wait for it.

        Raises:
            DependencyUnavailable: when no broker answers in time.
        """
        _connect(self._producer, topic, within_s)

    def silent_s(self) -> float:
        """How long records have been waiting without any acknowledgement; 0 when none waits."""
        with self._lock:
            return self._in_flight.silent_s(time.monotonic())

    def tolerated_s(self) -> float:
        """How long a silence means nothing, after acknowledgements that were slow; 0 after quick ones."""
        with self._lock:
            return self._in_flight.tolerated_s(time.monotonic())

    def check(self) -> None:
        """Do nothing unless the producer can never publish again.

        Raises:
            RuntimeError: then; the process is to be replaced.
        """
        if self._broken:
            raise RuntimeError(f"the Kafka producer gave up for good: {self._broken}")

    def renew(self, settings: KafkaSettings, topic: str) -> None:
        """Publish over connections of these settings from now on; takes some seconds.

        What was queued before goes over the old connections, and its acknowledgements are served.

        Raises:
            SettingsError, DependencyUnavailable: when no broker lets the new ones in; the old ones stay.
        """
        faults = BrokerFaults(settings)
        fresh = _producer(settings, faults)
        _connect(fresh, topic, MESSAGE_TIMEOUT_MS / 1000, faults)
        old, self._producer = self._producer, fresh
        self._broken = None
        settled_at = time.monotonic() + MESSAGE_TIMEOUT_MS / 1000  # the holder just before has queued by then
        while time.monotonic() < settled_at or len(old):
            old.poll(POLL_S)

    def publish_and_wait(self, topic: str, records: Sequence[OutgoingRecord]) -> None:
        """Publish and block until every record is acknowledged.

        Raises:
            DependencyUnavailable: when one was not; others may have been.
        """
        self.check()
        if not records:
            return
        settled = threading.Event()
        outcome: list[str | None] = []

        def done(errors: list[str | None]) -> None:
            outcome.extend(errors)
            settled.set()

        self.publish(topic, records, done)
        if not settled.wait(timeout=2 * MESSAGE_TIMEOUT_MS / 1000):
            raise DependencyUnavailable("Kafka", f"no acknowledgement from {topic} in time")
        failed = next((error for error in outcome if error), None)
        if failed:
            raise DependencyUnavailable("Kafka", failed)

    def close(self) -> None:
        """Wait briefly for what is in flight and stop the thread."""
        self._producer.flush(MESSAGE_TIMEOUT_MS / 1000)
        self._stopping.set()
        if self._poller.is_alive():
            self._poller.join(timeout=2)

    def _may_queue(self, count: int) -> bool:
        now = time.monotonic()
        with self._lock:
            if not self._in_flight.admits(now):
                return False
            self._in_flight.queued(count, now)
            return True

    def _refused(
        self, topic: str, record: OutgoingRecord, delivered: Callable[[KafkaError | None, Message], None]
    ) -> str | None:
        """Hand one record to the producer; return why it does not take it, None when it does."""
        try:
            self._producer.produce(
                topic,
                record.value,
                record.key,
                on_delivery=delivered,
                timestamp=record.timestamp_ms,
                headers=record.headers,
            )
        except BufferError:
            return "too many events wait for Kafka"
        except KafkaException as error:
            if error.args[0].fatal() or error.args[0].code() == KafkaError._FATAL:
                self._broken = self._broken or describe(error)
            return describe(error)
        return None

    def _settle(self, settlement: _Settlement, failed: tuple[bytes, str] | None) -> None:
        with self._lock:  # several threads get here
            if failed is None:
                self._in_flight.acknowledged(time.monotonic())
            else:
                self._in_flight.failed()
                settlement.failed.append(failed)
            settlement.open -= 1
            last = settlement.open == 0
        if last:
            settlement.done(settlement.errors())

    def _poll(self) -> None:
        while not self._stopping.is_set():
            self._serve(POLL_S)

    def _serve(self, wait_s: float) -> None:
        """Serve what the brokers have answered; after a fatal error the producer publishes nothing more."""
        try:
            self._producer.poll(wait_s)
        except KafkaException as error:
            self._broken = self._broken or describe(error)


@contextmanager
def open_publisher(settings: KafkaSettings, *, polls_itself: bool = True) -> Iterator[Publisher]:
    """Open a publisher in this process and close it at the end."""
    publisher = Publisher(_producer(settings), polls_itself=polls_itself)
    try:
        yield publisher
    finally:
        publisher.close()


def _producer(settings: KafkaSettings, faults: BrokerFaults | None = None) -> Producer:
    config = connection_config(settings, faults) | {
        "acks": "all",
        "enable.idempotence": True,
        "partitioner": "murmur2_random",  # as Java's default: producers in every language agree
        "message.timeout.ms": MESSAGE_TIMEOUT_MS,
        "socket.timeout.ms": MESSAGE_TIMEOUT_MS,  # a connection that swallows everything is left
        "reconnect.backoff.max.ms": RECONNECT_MS,
        "queue.buffering.max.kbytes": QUEUE_KBYTES,
        "message.max.bytes": MAX_RECORD_BYTES,  # the brokers' own limits are a topic's configuration
        "linger.ms": LINGER_MS,
        "compression.type": "lz4",
    }
    return Producer(dict(config))


def _connect(producer: Producer, topic: str, within_s: float, faults: BrokerFaults | None = None) -> None:
    """Ask for the topic's partitions; `faults` is what the producer tells its errors to."""
    try:
        producer.list_topics(topic, timeout=within_s)
    except KafkaException as error:
        producer.poll(0)  # serves the error callback
        raise DependencyUnavailable("Kafka", faults.explain(error) if faults else describe(error)) from error
