"""Sentry's SDKs never send twice: the door waits for Kafka, and its 503 must not silence them."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psutil
import pytest
from psycopg_pool import ConnectionPool
from starlette.testclient import TestClient

from serve_apps.ingest.protocols.doors import PATIENCE_S
from signals.clients.postgres import Connection
from signals.local.stack import RunningStack
from signals.services.ledger.audit import LedgerAudit, NotEvents
from tests.integration.ingest.conftest import Stored
from tests.support.waiting import until

PATH = "/v1/events/sentry/api/1/envelope/"
ENVELOPE = b'{}\n{"type":"event"}\n{"message":"m","level":"error"}'
REPORT = (
    b'{}\n{"type":"client_report"}\n{"discarded_events":'
    b'[{"reason":"network_error","category":"error","quantity":1}]}'
)
SHORT_S = 7.0  # longer than a record may wait in the producer
MARGIN_S = 8.0  # a last try within the patience, and a busy machine


@pytest.fixture
def kafka_process(servers: RunningStack) -> Iterator[psutil.Process]:
    """The broker's process, going again at the end."""
    pid = servers.servers["kafka"].process.pid
    assert pid is not None
    yield psutil.Process(pid)
    os.kill(pid, signal.SIGCONT)


def test_short_outage_of_kafka_loses_nothing(
    client: TestClient, kafka_process: psutil.Process, stored: Stored
) -> None:
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
    until(lambda: client.post(PATH, content=ENVELOPE).status_code == 200)
    kafka_process.suspend()
    began = time.monotonic()
    answer = client.post(PATH, content=ENVELOPE)
    waited_s = time.monotonic() - began
    assert answer.status_code == 503
    assert "retry-after" not in answer.headers
    assert PATIENCE_S <= waited_s < PATIENCE_S + MARGIN_S
    kafka_process.resume()
    until(lambda: client.post(PATH, content=ENVELOPE).status_code == 200)
    # The SDK's own report comes with its next event; both stand side by side and are never added.
    client.post(PATH, content=REPORT)
    now = datetime.now(UTC)
    span = (now - timedelta(minutes=3), now + timedelta(minutes=1))
    found = until(lambda: _two_lines(LedgerAudit(pool).not_events("proj_1", *span)))
    assert found == {("refused", "answered 503 unavailable"): 1, ("lost_before", "network_error/error"): 1}


def _two_lines(rows: list[NotEvents]) -> dict[tuple[str, str], int] | None:
    lines: dict[tuple[str, str], int] = {(row.kind, row.reason): row.items for row in rows}
    return lines if len(lines) >= 2 else None
