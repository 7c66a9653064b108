"""A full disk and a read-only disk under the local stack: one sentence, and nothing acknowledged is lost."""

import io
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from rich.console import Console

from signals.local import stack
from signals.local.errors import LocalStackError
from signals.local.stack import RunningStack

TOPIC = "disk"
DISK_MB = 700
SPARE_MB = 5
RECORD = b"x" * 100_000
needs_mount = pytest.mark.skipif(
    os.geteuid() != 0,
    reason="NOT TESTED: only root may mount the small disk that fills up or turns read-only",
)


@pytest.fixture
def disk() -> Iterator[Path]:
    """A small file system of its own, which the servers' account can enter."""
    with TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o755)
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=0755", "tmpfs", place], check=True
        )
        try:
            yield place
        finally:
            stack.down(place / ".signals")
            subprocess.run(["umount", "--lazy", place], check=True)


def _up(root: Path) -> RunningStack:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "SIGNALS_CACHE_DIR") if name in os.environ}
    return stack.up(root, environ=kept, console=Console(file=io.StringIO()))


def _insert_until_refused(running: RunningStack, most: int) -> int:
    """Return how many rows were committed."""
    with psycopg.connect(running.environment["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (id int PRIMARY KEY, body bytea)")
        for number in range(most):
            try:
                connection.execute("INSERT INTO kept VALUES (%s, %s)", (number, os.urandom(100_000)))
            except psycopg.OperationalError:  # DiskFull, or the server went down over it
                return number
    return most


def _produce(running: RunningStack, count: int) -> int:
    """Return how many of the records Kafka acknowledged."""
    acknowledged = 0

    def told(error: KafkaError | None, _: Message) -> None:
        nonlocal acknowledged
        acknowledged += error is None

    settings = {"bootstrap.servers": running.environment["KAFKA_BROKERS"], "message.timeout.ms": 8000}
    producer = Producer({**settings, "acks": "all", "linger.ms": 0, "log_level": 0})
    for _ in range(count):
        producer.produce(TOPIC, RECORD, partition=0, on_delivery=told)
        producer.flush(20)
    return acknowledged


def _records(running: RunningStack) -> int:
    settings = {"bootstrap.servers": running.environment["KAFKA_BROKERS"], "group.id": "count"}
    consumer = Consumer({**settings, "enable.partition.eof": True})
    try:
        consumer.assign([TopicPartition(TOPIC, 0, 0)])
        found = 0
        while (message := consumer.poll(60)) is not None:
            if (error := message.error()) is not None:
                assert error.code() == KafkaError._PARTITION_EOF, error
                return found
            found += message.value() == RECORD
        raise AssertionError("Kafka is silent")
    finally:
        consumer.close()


def _fill(place: Path) -> None:
    room_mb = shutil.disk_usage(place).free // 2**20
    (place / "filler").write_bytes(bytes((room_mb - SPARE_MB) * 2**20))


@needs_mount
def test_full_disk_is_told_and_nothing_acknowledged_is_lost(disk: Path) -> None:
    root = disk / ".signals"
    running = _up(root)
    admin = AdminClient({"bootstrap.servers": running.environment["KAFKA_BROKERS"]})
    admin.create_topics([NewTopic(TOPIC, 1, 1)])[TOPIC].result(60)
    acknowledged = _produce(running, 20)
    assert acknowledged == 20
    _fill(disk)
    committed = _insert_until_refused(running, 5000)
    assert committed < 5000
    last = _produce(running, 200)
    assert last < 200
    with pytest.raises(LocalStackError, match="make room"):
        _up(root)
    (disk / "filler").unlink()
    again = _up(root)
    with psycopg.connect(again.environment["DATABASE_URL"]) as connection:
        row = connection.execute(
            "SELECT count(*), count(DISTINCT id), min(length(body)) FROM kept"
        ).fetchone()
    assert row is not None
    assert row[0] == row[1] >= committed
    assert _records(again) >= acknowledged + last
    assert _produce(again, 1) == 1


@needs_mount
def test_read_only_disk_is_told_and_the_data_is_there_afterwards(disk: Path) -> None:
    root = disk / ".signals"
    running = _up(root)
    assert _insert_until_refused(running, 10) == 10
    stack.down(root)
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    try:
        with pytest.raises(LocalStackError, match=r"Read-only file system: make it writable"):
            _up(root)
    finally:
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
    with psycopg.connect(_up(root).environment["DATABASE_URL"]) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (10,)


def test_too_little_room_is_told_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stack, "FRESH_DATA_BYTES", 2**60)
    with pytest.raises(LocalStackError, match="MB are needed: make room"):
        _up(tmp_path / ".signals")
    assert all(server.state == "stopped" for server in stack.status(tmp_path / ".signals"))
    stack.reset(tmp_path / ".signals")
