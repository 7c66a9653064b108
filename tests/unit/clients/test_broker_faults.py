"""librdkafka's words for a broken connection become one sentence that names the variable."""

import pytest
from confluent_kafka import KafkaError

from signals.clients.kafka.broker_faults import BrokerFaults
from signals.settings import KafkaSettings

PLAIN_PORT = (
    "SSL handshake failed: ssl/record/ssl3_record.c:354: error:0A00010B: wrong version number",
    "Disconnected: SSL connection closed by peer (after 0ms in state SSL_HANDSHAKE)",
)
"""The broker reads our hello as a request: it answers with garbage or hangs up, by chance of timing."""


@pytest.mark.parametrize("reason", PLAIN_PORT)
def test_plain_port_is_named_however_the_broker_refuses(reason: str) -> None:
    faults = BrokerFaults(KafkaSettings(kafka_brokers="broker.example:9092"))
    faults.note(KafkaError(KafkaError._SSL, f"ssl://broker.example:9092/bootstrap: {reason}"))
    assert "it does not speak TLS on this port: correct the port in KAFKA_BROKERS" in str(faults.standing())
