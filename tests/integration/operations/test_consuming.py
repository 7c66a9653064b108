"""The kit under every consumer: what is settled moves together, and a consumer is one small class."""

from collections.abc import Iterator
from typing import Final, LiteralString

import pytest
from psycopg_pool import ConnectionPool

from signals.clients.kafka import RAW_TOPIC
from signals.clients.kafka.consumer import Record
from signals.clients.kafka.dead_letters import DeadLetter
from signals.clients.kafka.publisher import OutgoingRecord, Publisher
from signals.clients.postgres import Connection
from signals.domain.ledger import LedgerAccount
from signals.errors import Fenced
from signals.services.consuming import ConsumerSession, Membership
from signals.settings import KafkaSettings
from signals.store.operations import offsets
from tests.integration.operations.conftest import rows
from tests.support.consuming import drain, own_all
from tests.support.waiting import until

GROUP: Final = "signals-archive"
COPY: LiteralString = "INSERT INTO pipeline.copies SELECT unnest(%s::bytea[])"
OFFSETS: LiteralString = (
    "SELECT coalesce(sum(next_offset), 0) FROM pipeline.offsets WHERE consumer_group = 'signals-archive'"
)
WATERMARKS: LiteralString = (
    "SELECT bool_and(complete_until IS NOT NULL) FROM pipeline.offsets"
    " WHERE consumer_group = 'signals-archive'"
)
WINDOWS: LiteralString = (
    "SELECT sum(cardinality(dead_offsets)) FROM pipeline.dead_letter_windows"
    " WHERE consumer_group = 'signals-archive'"
)
ENTERED: LiteralString = "SELECT sum(events)::int FROM pipeline.ledger WHERE outcome = 'indexed'"


class Copying(ConsumerSession):
    """A third consumer: it copies records into a table, and gives up those that are empty."""

    def step(self, timeout_s: float) -> int:
        records = self._consumer.poll(100, timeout_s)
        if records:
            good = [record for record in records if record.value]
            entries = {LedgerAccount("p", 1, "indexer", "indexed"): len(good)}
            next_offsets = {record.partition: record.offset + 1 for record in records}
            dead = [_letter(record) for record in records if not record.value]
            with self.settling(next_offsets, dead_letters=dead, entries=entries) as connection:
                connection.execute(COPY, [[record.value for record in good]])
        if reached := self.reached_barriers():
            self.complete(reached)
        return len(records)


def _letter(record: Record) -> DeadLetter:
    return DeadLetter(record=record, stage="indexer", error="empty", reason="no value")


@pytest.fixture
def copying(
    kafka: KafkaSettings, pool: ConnectionPool[Connection], publisher: Publisher
) -> Iterator[Copying]:
    """The third consumer, once it owns its partitions."""
    with pool.connection() as connection:
        connection.execute("CREATE TABLE pipeline.copies (value bytea)")
    with Copying(kafka, pool, publisher, Membership(group=GROUP, tick_s=0.05)) as copying:
        own_all(copying)
        yield copying
    with pool.connection() as connection:
        connection.execute("DROP TABLE pipeline.copies")


def publish(publisher: Publisher, *values: bytes) -> None:
    """Append records, each under a key of its own."""
    records = [OutgoingRecord(key=b"%d" % number, value=value) for number, value in enumerate(values)]
    publisher.publish_and_wait(RAW_TOPIC, records)


def test_a_third_consumer_settles_rows_offsets_windows_and_ledger(
    copying: Copying, pool: ConnectionPool[Connection], publisher: Publisher
) -> None:
    publish(publisher, b"a", b"b", b"", b"c")
    drain(copying)
    assert rows(pool, "SELECT convert_from(value, 'UTF8') FROM pipeline.copies ORDER BY 1") == [
        ("a",),
        ("b",),
        ("c",),
    ]
    assert rows(pool, OFFSETS) == [(4,)]
    assert rows(pool, WINDOWS) == [(1,)]
    assert rows(pool, ENTERED) == [(3,)]
    until(lambda: copying.step(0.05) == 0 and rows(pool, WATERMARKS) == [(True,)])


def test_a_fenced_consumer_keeps_nothing_of_its_batch(
    copying: Copying, pool: ConnectionPool[Connection], publisher: Publisher
) -> None:
    moves = [
        offsets.OffsetMove(partition=partition, expected_offset=0, next_offset=1)
        for partition in copying.owned()
    ]
    with pool.connection() as connection:  # as another member would, that took the partitions over
        offsets.advance(connection, group=GROUP, topic=RAW_TOPIC, moves=moves)
    publish(publisher, b"a")
    with pytest.raises(Fenced):
        until(lambda: copying.step(0.1) > 0)
    assert rows(pool, "SELECT * FROM pipeline.copies") == []
    assert rows(pool, ENTERED) == [(None,)]
