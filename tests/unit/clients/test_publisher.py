"""Every record of a call gets its own verdict; any thread may serve the acknowledgements."""

import pytest
from confluent_kafka import Producer

from signals.clients.kafka.publisher import OutgoingRecord, Publisher
from signals.local.processes.ports import free_port
from tests.support.waiting import until

VALUES = [b"first", b"alike", b"alike", b"no room"]


@pytest.mark.parametrize("polls_itself", [True, False])
def test_each_record_fails_with_its_own_reason(polls_itself: bool) -> None:
    producer = Producer(
        {
            "bootstrap.servers": f"127.0.0.1:{free_port()}",
            "queue.buffering.max.messages": len(VALUES) - 1,
            "message.timeout.ms": 200,
            "log_level": 0,
        }
    )
    publisher = Publisher(producer, polls_itself=polls_itself)
    outcome: list[list[str | None]] = []
    publisher.publish("t", [OutgoingRecord(key=b"k", value=value) for value in VALUES], outcome.append)
    until(lambda: (polls_itself or not publisher.poll()) and outcome != [])
    ((*timed_out, refused),) = outcome
    assert refused == "too many events wait for Kafka"
    assert [reason is not None and "timed out" in reason for reason in timed_out] == [True, True, True]
    assert publisher.silent_s() == 0
    publisher.close()
