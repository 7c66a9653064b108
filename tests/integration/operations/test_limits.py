"""A consumer stops, loudly and with its offset where it was, when most records are broken."""

import threading
from typing import LiteralString

import pytest
from psycopg_pool import ConnectionPool

from actors.loop import ConsumerLoop
from signals.clients.kafka import RAW_TOPIC
from signals.clients.kafka.dead_letter_log import open_dead_letter_log
from signals.clients.kafka.publisher import OutgoingRecord, Publisher
from signals.clients.postgres import Connection
from signals.domain.operations.dead_letter_limits import AT_LEAST
from signals.errors import TooManyDeadLetters
from signals.settings import KafkaSettings
from tests.integration.operations.conftest import Open, rows
from tests.support.consuming import drain
from tests.support.events import NOON, errors, publish
from tests.support.waiting import until

# With the key of the good events, so that all lie on one partition.
BROKEN = [OutgoingRecord(key=b"org_1|proj_1|TIMEOUT|/checkout", value=b"no event") for _ in range(400)]

BACKING_OFF: LiteralString = "SELECT detail FROM pipeline.workers WHERE state = 'backing-off'"


def dead_lettered(kafka: KafkaSettings) -> int:
    with open_dead_letter_log(kafka) as log:
        return sum(end - oldest for oldest, end in log.ranges().values())


@pytest.mark.parametrize("stage", ["engine", "indexer"])
def test_flood_of_broken_records_stops_the_stage_until_a_setting_allows_it(
    stage: str,
    request: pytest.FixtureRequest,
    publisher: Publisher,
    kafka: KafkaSettings,
    pool: ConnectionPool[Connection],
) -> None:
    open_session: Open = request.getfixturevalue(stage)
    publish(publisher, errors(20, NOON))
    with open_session() as session:
        drain(session)
    before = rows(pool, "SELECT sum(next_offset) FROM pipeline.offsets")
    publisher.publish_and_wait(RAW_TOPIC, BROKEN)
    publish(publisher, errors(20, NOON))
    for _ in range(3):  # whoever restarts it, nothing leaks
        with pytest.raises(TooManyDeadLetters, match="MAX_SHARE=1"), open_session() as session:
            drain(session)
    leaked = dead_lettered(kafka)
    assert leaked < AT_LEAST
    assert rows(pool, "SELECT sum(next_offset) FROM pipeline.offsets") <= [(before[0][0] + leaked + 20,)]
    with open_session(max_share=1) as session:
        drain(session)
    assert dead_lettered(kafka) == len(BROKEN)
    assert rows(pool, "SELECT sum(next_offset)::int FROM pipeline.offsets") == [(440,)]


def test_restarts_do_not_reset_the_dead_letter_limit(
    engine: Open, publisher: Publisher, kafka: KafkaSettings
) -> None:
    stopped = False
    for _ in range(8):
        publisher.publish_and_wait(RAW_TOPIC, BROKEN[:25])
        try:
            with engine() as session:
                drain(session)
        except TooManyDeadLetters:
            stopped = True
    assert stopped
    assert dead_lettered(kafka) < AT_LEAST


def test_few_broken_records_do_not_stop_the_stage(
    engine: Open, publisher: Publisher, kafka: KafkaSettings, pool: ConnectionPool[Connection]
) -> None:
    events = list(errors(300, NOON, every_s=0.1))
    for start in range(0, 300, 100):
        publish(publisher, events[start : start + 100])
        publisher.publish_and_wait(RAW_TOPIC, BROKEN[start : start + 90])
    with engine() as session:
        drain(session)
    assert dead_lettered(kafka) == 270
    assert rows(pool, "SELECT sum(value) FROM metrics_buckets") == [(300,)]


def test_stopped_consumer_reports_its_reason_until_restarted(
    engine: Open, publisher: Publisher, pool: ConnectionPool[Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.loop.DOUBT_S", 600.0)  # however long a session takes to meet the records
    publisher.publish_and_wait(RAW_TOPIC, BROKEN)
    loop = ConsumerLoop("stopped", "incident-engine", pool, lambda _: engine())
    try:
        (row,) = until(lambda: rows(pool, BACKING_OFF), within_s=60)
        assert "partition" in row[0]
        assert "SIGNALS_DLQ_MAX_SHARE=1" in row[0]
        polled_at = loop.progress.last_poll_at
        until(lambda: loop.progress.last_poll_at != polled_at, within_s=60)
        assert loop.progress.state == "backing-off"  # another session has begun and polled
    finally:
        loop.stop()
        until(lambda: not any(t.name.startswith("stopped-") for t in threading.enumerate()), within_s=60)
