"""Sentry's SDKs never send twice: the door waits for Kafka, and its 503 must not silence them."""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from unittest.mock import patch

import psutil
import pytest
from psycopg_pool import ConnectionPool
from starlette.testclient import TestClient

from serve_apps.ingest import replica
from serve_apps.ingest.protocols.doors import PATIENCE_S, Doors
from signals.clients.kafka.publisher import MESSAGE_TIMEOUT_MS, Publisher
from signals.clients.postgres import Connection
from signals.local.stack import RunningStack
from signals.services.access.provisioning import IssuedKey
from signals.services.ledger.audit import LedgerAudit
from tests.integration.ingest.conftest import Stored, ingest_client
from tests.support.waiting import until

PATH = "/v1/events/sentry/api/1/envelope/"
ENVELOPE = b'{}\n{"type":"event"}\n{"message":"m","level":"error"}'
REPORT = (
    b'{}\n{"type":"client_report"}\n{"discarded_events":'
    b'[{"reason":"network_error","category":"error","quantity":1}]}'
)
SHORT_S = 7.0  # longer than a record may wait in the producer
MARGIN_S = 30.0  # a last try within the patience, and a busy machine


@pytest.fixture
def kafka_process(servers: RunningStack) -> Iterator[psutil.Process]:
    """The broker's process, going again at the end."""
    pid = servers.servers["kafka"].process.pid
    assert pid is not None
    yield psutil.Process(pid)
    os.kill(pid, signal.SIGCONT)


def test_short_outage_of_kafka_loses_nothing(
    pool: ConnectionPool[Connection],
    publisher: Publisher,
    key: IssuedKey,
    kafka_process: psutil.Process,
    stored: Stored,
) -> None:
    assert MESSAGE_TIMEOUT_MS / 1000 < SHORT_S < PATIENCE_S
    # A broker that slept comes back when it has registered anew: late, where the machine is busy.
    patient = partial(Doors, patience_s=6 * PATIENCE_S)
    with patch.object(replica, "Doors", patient), ingest_client(pool, publisher) as client:
        client.headers["Authorization"] = f"Bearer {key.text}"
        until(lambda: client.post(PATH, content=ENVELOPE).status_code == 200)
        kafka_process.suspend()
        back = threading.Timer(SHORT_S, kafka_process.resume)
        back.start()
        answer = client.post(PATH, content=ENVELOPE.replace(b'"m"', b'"late"'))
        back.join()
    assert answer.status_code == 200
    assert any(b'"late"' in record.value for record in stored())


def test_long_outage_is_answered_without_retry_after(
    client: TestClient, kafka_process: psutil.Process, pool: ConnectionPool[Connection]
) -> None:
    refused = 0

    def is_taken() -> bool:
        nonlocal refused
        status = client.post(PATH, content=ENVELOPE).status_code
        refused += status == 503
        return status == 200

    until(is_taken)
    kafka_process.suspend()
    began = time.monotonic()
    answer = client.post(PATH, content=ENVELOPE)
    waited_s = time.monotonic() - began
    refused += 1
    assert answer.status_code == 503
    assert "retry-after" not in answer.headers
    assert PATIENCE_S <= waited_s < PATIENCE_S + MARGIN_S
    kafka_process.resume()
    until(is_taken)
    # The SDK's own report comes with its next event; both stand side by side and are never added.
    client.post(PATH, content=REPORT)
    now = datetime.now(UTC)
    span = (now - timedelta(minutes=30), now + timedelta(minutes=1))
    until(lambda: _lines(pool, span).total() > refused)
    assert _lines(pool, span) == {
        ("refused", "answered 503 unavailable"): refused,
        ("lost_before", "network_error/error"): 1,
    }


def _lines(pool: ConnectionPool[Connection], span: tuple[datetime, datetime]) -> Counter[tuple[str, str]]:
    """Add up what became no event, over all minutes: the ledger is written by the second."""
    found = Counter[tuple[str, str]]()
    for row in LedgerAudit(pool).not_events("proj_1", *span):
        found[row.kind, row.reason] += row.items
    return found
