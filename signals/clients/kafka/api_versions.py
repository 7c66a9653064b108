"""Asks a broker what it understands, which is how Kafka tells its version; librdkafka does not pass it on."""

import socket
import ssl
import struct
from typing import Final

from signals.clients.tls import ca_pem
from signals.settings import KafkaSettings

API_VERSIONS: Final = 18
TIMEOUT_S: Final = 3.0  # guess: the broker has just answered librdkafka
MAX_ANSWER_BYTES: Final = 65_536

OFFSET_DELETE: Final = 47
"""Since Kafka 2.4, the first that is meant to be joined by members with cooperative assignment."""
CONSUMER_GROUP_HEARTBEAT: Final = 68
"""KIP-848's group protocol, since Kafka 4.0."""


def api_keys(settings: KafkaSettings) -> frozenset[int] | None:
    """Return the requests that the first broker that answers understands; None when none says.

    Brokers answer this before a login (KIP-43). Source: https://kafka.apache.org/protocol#The_Messages_ApiVersions
    """
    for broker in settings.kafka_brokers.split(","):
        host, _, port = broker.strip().rpartition(":")
        try:
            return _ask(host.strip("[]"), int(port), settings)
        except (OSError, ValueError, struct.error):
            continue
    return None


def _ask(host: str, port: int, settings: KafkaSettings) -> frozenset[int]:
    with socket.create_connection((host, port), timeout=TIMEOUT_S) as plain:
        if settings.kafka_security_protocol == "PLAINTEXT":
            return _converse(plain)
        given = settings.kafka_ca_cert
        context = ssl.create_default_context(cadata=ca_pem("KAFKA_CA_CERT", given) if given else None)
        with context.wrap_socket(plain, server_hostname=host) as encrypted:
            return _converse(encrypted)


def _converse(connection: socket.socket) -> frozenset[int]:
    client = b"signals"
    header = struct.pack(f">hhih{len(client)}s", API_VERSIONS, 0, 1, len(client), client)
    connection.sendall(struct.pack(">i", len(header)) + header)
    with connection.makefile("rb") as answer:
        (size,) = struct.unpack(">i", answer.read(4))
        body = answer.read(min(size, MAX_ANSWER_BYTES))
    _, error, count = struct.unpack_from(">ihi", body)
    if error:
        raise ValueError(f"error {error}")
    return frozenset(struct.unpack_from(">h", body, 10 + 6 * index)[0] for index in range(count))
