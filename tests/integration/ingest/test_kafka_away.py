"""Without Kafka: an answer within a second, flat memory, and on again by itself when it is back."""

import gc
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from psycopg_pool import ConnectionPool
from starlette.testclient import TestClient

from serve_apps.ingest.replica import ANSWER_WITHIN_S
from signals.clients.kafka.publisher import Publisher
from signals.clients.postgres import Connection
from signals.garbage import collect_less_often
from signals.local.stack import RunningStack
from signals.services.access.provisioning import IssuedKey
from tests.integration.ingest.conftest import ingest_client
from tests.integration.ingest.shapes import MIB, assert_problem, body
from tests.support.waiting import until

SLOW_S = 1.5  # twice as long as an answer may take while Kafka is quick
AWAY_S = 15  # three times as long as a record may wait
WITHIN_S = 1.0
BUSY_S = 1.5  # what a busy machine may add to the second; half of what a record waits in all


@pytest.fixture
def client(pool: ConnectionPool[Connection], publisher: Publisher, key: IssuedKey) -> Iterator[TestClient]:
    """A client whose ingest-api has been sending for a while."""
    with ingest_client(pool, publisher, answer_within_s=ANSWER_WITHIN_S) as client:
        client.headers["Authorization"] = f"Bearer {key.text}"
        # A new topic's first acknowledgement may be slow, and then the next ones may be for a while.
        until(
            lambda: client.post("/v1/events", json=body()).status_code == 202 and publisher.tolerated_s() < 1,
            within_s=90,
        )
        yield client


@pytest.fixture
def kafka_process(servers: RunningStack) -> Iterator[psutil.Process]:
    """The broker's process, going again at the end."""
    pid = servers.servers["kafka"].process.pid
    assert pid is not None
    yield psutil.Process(pid)
    os.kill(pid, signal.SIGCONT)


@pytest.fixture
def collecting() -> Iterator[None]:
    """Collect garbage as the replica does."""
    usual = gc.get_threshold()
    collect_less_often()
    yield
    gc.set_threshold(*usual)
    gc.unfreeze()


@pytest.mark.usefixtures("collecting")
def test_absent_kafka_is_reported_within_a_second_without_memory(
    client: TestClient, kafka_process: psutil.Process
) -> None:
    batch = [body(payload={"text": "x" * 1_000}) for _ in range(100)]
    waits_s: list[float] = []

    def send() -> int:
        began = time.monotonic()
        answer = client.post("/v1/events/batch", json=batch)
        waits_s.append(time.monotonic() - began)
        assert_problem(answer, 503, "unavailable")
        assert 1 <= int(answer.headers["retry-after"]) <= 5
        return len(waits_s)

    kafka_process.suspend()
    send()
    assert waits_s[0] < WITHIN_S + BUSY_S, "also the very first"
    resident = psutil.Process().memory_info().rss
    began = time.monotonic()
    with ThreadPoolExecutor(4) as senders:
        while time.monotonic() - began < AWAY_S:
            list(senders.map(lambda _: send(), range(20)))
    median_s, slowest_s = sorted(waits_s)[len(waits_s) // 2], max(waits_s)
    growth_mib = (psutil.Process().memory_info().rss - resident) / MIB
    print(
        f"{len(waits_s)} batches of 100 KB refused in {AWAY_S} s, median {median_s:.3f} s, "
        f"slowest {slowest_s:.2f} s; memory +{growth_mib:.1f} MiB"
    )
    assert median_s < WITHIN_S
    assert sorted(waits_s)[len(waits_s) * 9 // 10] < WITHIN_S + BUSY_S
    assert growth_mib < 48, "a second's worth, and a probe each five seconds"
    kafka_process.resume()
    back = time.monotonic()
    until(lambda: client.post("/v1/events", json=body()).status_code == 202)
    print(f"accepted again {time.monotonic() - back:.2f} s after the broker's return")


def test_slow_kafka_is_waited_for_once_it_is_known_as_slow(
    client: TestClient, kafka_process: psutil.Process
) -> None:
    def status_after_a_pause() -> int:
        """Send one event to a broker that goes on only later."""
        kafka_process.suspend()
        going_on = threading.Timer(SLOW_S, kafka_process.resume)
        going_on.start()
        status = client.post("/v1/events", json=body()).status_code
        going_on.join()
        until(lambda: client.post("/v1/events", json=body()).status_code == 202)
        return status

    until(lambda: status_after_a_pause() == 202, within_s=120)
