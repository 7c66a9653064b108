"""Every record of a call gets its own verdict; any thread may serve the acknowledgements."""

import ctypes
import sys
from pathlib import Path

import confluent_kafka
import pytest
from confluent_kafka import KafkaError, Producer

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


@pytest.mark.skipif(sys.platform != "linux", reason="wheels for macOS keep librdkafka elsewhere")
@pytest.mark.parametrize("polls_itself", [True, False])
def test_fatal_error_answers_each_call_and_fails_the_check(polls_itself: bool) -> None:
    """For example after a broker has lost its log: a new process publishes again, this producer never."""
    producer = Producer(
        {"bootstrap.servers": f"127.0.0.1:{free_port()}", "enable.idempotence": True, "log_level": 0}
        | {"error_cb": lambda error: None}
    )
    publisher = Publisher(producer, polls_itself=polls_itself)
    outcome: list[list[str | None]] = []
    publisher.publish("t", [OutgoingRecord(key=b"k", value=b"under way")], outcome.append)
    publisher.check()
    _fail_for_good(producer)
    until(lambda: (polls_itself or not publisher.poll()) and outcome != [])
    publisher.publish("t", [OutgoingRecord(key=b"k", value=b"later")], outcome.append)
    assert [len(errors) for errors in outcome] == [1, 1]
    assert all(errors[0] for errors in outcome)
    with pytest.raises(RuntimeError, match="gave up for good"):
        publisher.check()
    publisher.close()


def _fail_for_good(producer: Producer) -> None:
    """Raise librdkafka's own fatal error in a producer."""
    [library] = (Path(confluent_kafka.__file__).parents[1] / "confluent_kafka.libs").glob("librdkafka-*")
    fail = ctypes.CDLL(str(library)).rd_kafka_test_fatal_error
    fail.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p]
    handle = ctypes.c_void_p.from_address(
        id(producer) + object.__basicsize__
    )  # the first field of its struct
    assert fail(handle, KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, b"planted") == 0
