"""Why the brokers do not let us in, in one sentence that names the variable.

librdkafka tries indefinitely and gives the reason to its error callback only; the call that waits ends with
a bare timeout. So each client has a `BrokerFaults` as its callback and asks it for words.
"""

import re
from typing import Final

from confluent_kafka import KafkaError, KafkaException

from signals.clients.diagnosis import ConnectionFault, Variables, handshake_fault, one_line, speaks_tls
from signals.clients.tls import ca_pem
from signals.settings import KafkaSettings

VARIABLES: Final = Variables(
    address="KAFKA_BROKERS",
    ca="KAFKA_CA_CERT",
    plain="KAFKA_SECURITY_PROTOCOL=PLAINTEXT",
    encrypted="KAFKA_SECURITY_PROTOCOL=SASL_SSL",
    login="KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD",
)
MECHANISM: Final = "it does not offer this way to log in: set KAFKA_SASL_MECHANISM to one that it does"
REFUSED: Final = frozenset({KafkaError._SSL, KafkaError._AUTHENTICATION})  # does not pass by itself
CONNECTION: Final = REFUSED | {
    KafkaError._TRANSPORT,
    KafkaError._RESOLVE,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._TIMED_OUT,
    KafkaError._MSG_TIMED_OUT,
}
FORBIDDEN: Final = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    }
)
BROKER: Final = re.compile(r"ssl://(?P<host>[^/]+):(?P<port>\d+)/")
FAULTS: Final[
    tuple[tuple[str, ConnectionFault | str], ...]
] = (  # the first that is found in librdkafka's words
    (r"certificate verify failed", ConnectionFault.UNTRUSTED),  # it does not say why: asked again below
    (r"SSL handshake failed|closed by peer .*in state SSL_HANDSHAKE", ConnectionFault.NOT_TLS),
    (r"[Uu]nsupported SASL mechanism|mechanism handshake failed", MECHANISM),
    (r"[Aa]uthentication (error|failed|failure)", ConnectionFault.LOGIN),
    (r"incorrect security\.protocol", ConnectionFault.TLS_WANTED),
    (
        r"Connect to .* failed|Failed to resolve|Connection setup timed out|brokers are down",
        ConnectionFault.UNREACHABLE,
    ),
)


def describe(error: KafkaException | KafkaError) -> str:
    """Return librdkafka's own words for an error."""
    cause = error.args[0] if isinstance(error, KafkaException) and error.args else error
    return one_line(cause.str() if isinstance(cause, KafkaError) else str(cause))


class BrokerFaults:
    """The last faults of one client's connections. Written by the thread that polls."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._seen: KafkaError | None = None
        self._all_down = False

    def note(self, error: KafkaError) -> None:
        """Keep what may be the cause; librdkafka's `error_cb`."""
        self._all_down |= error.code() == KafkaError._ALL_BROKERS_DOWN
        if self._seen is None or _weight(error) >= _weight(self._seen):
            self._seen = error

    def is_refused(self) -> bool:
        """Whether a broker's answer shows a fault that waiting does not fix."""
        return self._seen is not None and self._seen.code() in REFUSED

    def standing(self) -> str | None:
        """Return why no broker lets this client in, or did not at some time; None when one always did."""
        if self._seen is None or not (self._all_down or self.is_refused()):
            return None  # a single connection lost is mended by librdkafka
        return self._sentence(self._seen)

    def explain(self, error: KafkaException | KafkaError) -> str:
        """Return why a call failed: the cause behind it when it only says that no broker answered."""
        cause = error.args[0] if isinstance(error, KafkaException) and error.args else error
        if not isinstance(cause, KafkaError):
            return describe(error)
        if cause.code() in FORBIDDEN:
            return VARIABLES.sentence(ConnectionFault.FORBIDDEN)
        if cause.code() not in CONNECTION:
            return describe(error)
        return self._sentence(self._seen or cause)

    def _sentence(self, error: KafkaError) -> str:
        text = describe(error)
        found = next((fault for pattern, fault in FAULTS if re.search(pattern, text)), text)
        if found is ConnectionFault.UNTRUSTED:
            found = self._certificate_fault(text)
        elif found is ConnectionFault.UNREACHABLE and self._hangs_up_on_plain_text():
            found = ConnectionFault.TLS_WANTED
        return VARIABLES.sentence(found) if isinstance(found, ConnectionFault) else found

    def _certificate_fault(self, text: str) -> ConnectionFault:
        broker, given = BROKER.search(text), self._settings.kafka_ca_cert
        if broker is None:
            return ConnectionFault.UNTRUSTED
        pem = ca_pem("KAFKA_CA_CERT", given) if given else None
        return handshake_fault(broker["host"], int(broker["port"]), ca_pem=pem) or ConnectionFault.UNTRUSTED

    def _hangs_up_on_plain_text(self) -> bool:
        """librdkafka cannot tell this from a broker that is away."""
        host, _, port = self._settings.kafka_brokers.partition(",")[0].strip().rpartition(":")
        plain = self._settings.kafka_security_protocol == "PLAINTEXT"
        return plain and port.isdecimal() and speaks_tls(host.strip("[]"), int(port))


def _weight(error: KafkaError) -> int:
    if error.code() in REFUSED:
        return 2
    return 0 if error.code() == KafkaError._ALL_BROKERS_DOWN else 1  # it only sums up the others
