"""Notifiers act upon announcements in real Kafka, also after another one was killed."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final
from uuid import uuid4

import pytest
from cryptography.fernet import Fernet, MultiFernet

from signals.clients.kafka import JOBS_TOPIC
from signals.clients.kafka.publisher import OutgoingRecord, Publisher
from signals.clients.sealing import Seal
from signals.settings import KafkaSettings, PostgresSettings
from tests.integration.notifications.conftest import World
from tests.support.receivers import HttpReceiver
from tests.support.waiting import until

KEY: Final = Fernet.generate_key()
PROGRAM: Final = """
import os, sys
from actors.notifier import NotifierActor
from signals.services.notifications import notifier

def wake(self, wake=notifier.Notifier.wake):
    wake(self)
    print("woken", flush=True)

notifier.POLL_S = 3_600.0
notifier.Notifier.wake = wake
NotifierActor("test")
sys.stdin.read()
os._exit(0)
"""
"""The product's actor, which polls once an hour: only an announcement has it plan in time."""


class Announced:
    """One notifier process, and how often it was woken."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.woken = 0
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with suppress(ValueError):  # closed at the end of the test
            for line in self.process.stdout:
                self.woken += line == "woken\n"


@pytest.fixture
def sealed(world: World) -> World:
    """The project, sealed with a key that other processes get."""
    world.seal = Seal(MultiFernet([Fernet(KEY)]))
    return world


@contextmanager
def notifier(database: PostgresSettings, kafka: KafkaSettings) -> Iterator[Announced]:
    """Run a notifier that waits for announcements; it dies with us."""
    environment = os.environ | {
        "DATABASE_URL": database.database_url.get_secret_value(),
        "PG_SSLMODE": "disable",
        "KAFKA_BROKERS": kafka.kafka_brokers,
        "KAFKA_GROUP_PROTOCOL": kafka.kafka_group_protocol,
        "SIGNALS_SECRET_KEYS": KEY.decode(),
        "SIGNALS_NOTIFY_ALLOW": "127.0.0.0/8",
    }
    command, pipe = [sys.executable, "-c", PROGRAM], subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            running = Announced(process)
            until(lambda: running.woken == 1, within_s=180)  # it knows where the topic ends
            yield running
        finally:
            process.kill()


def announce(publisher: Publisher) -> None:
    """Publish what the engine publishes when a job begins: a hint."""
    record = OutgoingRecord(key=uuid4().hex.encode(), value=b"{}")
    publisher.publish_and_wait(JOBS_TOPIC, [record])


def test_announcement_wakes_the_notifier_that_follows_a_killed_one(
    sealed: World,
    receiver: HttpReceiver,
    database: PostgresSettings,
    kafka: KafkaSettings,
    publisher: Publisher,
) -> None:
    sealed.webhook(receiver)
    with notifier(database, kafka) as killed:
        killed.process.kill()
        killed.process.wait()
        with notifier(database, kafka):
            for number in range(1, 7):  # of any partition
                sealed.open(f"number {number}")
                announce(publisher)
                until(lambda number=number: len(receiver.accepted) == number, within_s=180)  # type: ignore[misc]


def test_every_notifier_is_woken_once_an_announcement_and_one_sends(
    sealed: World,
    receiver: HttpReceiver,
    database: PostgresSettings,
    kafka: KafkaSettings,
    publisher: Publisher,
) -> None:
    sealed.webhook(receiver)
    with notifier(database, kafka) as first, notifier(database, kafka) as second:
        for number in range(1, 4):
            sealed.open(f"number {number}")
            announce(publisher)
            until(lambda number=number: len(receiver.accepted) == number, within_s=180)  # type: ignore[misc]
            until(lambda number=number: [first.woken, second.woken] == 2 * [number + 1])  # type: ignore[misc]
    assert len(receiver.requests) == 3
