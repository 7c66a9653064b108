"""Settings of every Kafka client's connection, and the topics that must exist."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._metadata import ClusterMetadata
from confluent_kafka.cimpl import NewTopic

from signals.clients.kafka import DLQ_TOPIC, JOBS_TOPIC, RAW_TOPIC
from signals.clients.kafka.broker_faults import BrokerFaults
from signals.clients.tls import ca_pem
from signals.errors import DependencyUnavailable, SettingsError
from signals.settings import KafkaSettings

ADMIN_TIMEOUT_S: Final = 10.0  # guess: a broker that needs longer is away
FIRST_ANSWER_S: Final = 1.0  # first wait for a refusal; doubled until the time is up
SESSION_TIMEOUT_MS: Final = 10_000  # a dead member's partitions move after this (classic protocol)
PREFETCH_KBYTES: Final = 16_384  # bounds memory when the next hop is slow
FULL_BACKOFF_MS: Final = 50  # a second by default: a quick reader has emptied those 16 MiB in a fifth of it
WEEK_MS: Final = 7 * 24 * 3600 * 1000
MAX_RECORD_BYTES: Final = 2 * 1024 * 1024  # a dead letter is a record of up to 1 MiB and its origin
JOB_NOTICE_PARTITIONS: Final = 3  # guess: notices only wake, and each process reads all of them

Config = dict[str, str | int | float | bool | Callable[..., object]]
TOPICS: Final = (RAW_TOPIC, JOBS_TOPIC, DLQ_TOPIC)


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaCluster:
    """How many brokers there are, and each topic's partitions."""

    brokers: int
    topics: Mapping[str, int]


def connection_config(settings: KafkaSettings, faults: BrokerFaults | None = None) -> Config:
    """Build the connection part of a librdkafka configuration; `faults` receives the errors.

    Source: https://docs.confluent.io/platform/current/clients/librdkafka/html/md_CONFIGURATION.html

    Raises:
        SettingsError: when variables contradict each other, or the CA cannot be read.
    """
    config: Config = {
        "bootstrap.servers": settings.kafka_brokers,
        "security.protocol": settings.kafka_security_protocol,
        "client.id": "signals",
        "reconnect.backoff.max.ms": 2_000,
        "log_level": 0,  # the caller reports outages, once
    }
    if faults is not None:
        config["error_cb"] = faults.note
    if settings.kafka_ca_cert:
        if settings.kafka_security_protocol == "PLAINTEXT":
            raise SettingsError("set KAFKA_SECURITY_PROTOCOL: KAFKA_CA_CERT is of no use with PLAINTEXT")
        config["ssl.ca.pem"] = ca_pem("KAFKA_CA_CERT", settings.kafka_ca_cert)
    if settings.kafka_security_protocol == "SASL_SSL":
        if settings.kafka_sasl_username is None or settings.kafka_sasl_password is None:
            raise SettingsError("set KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD: SASL_SSL needs both")
        config["sasl.mechanism"] = settings.kafka_sasl_mechanism
        config["sasl.username"] = settings.kafka_sasl_username
        config["sasl.password"] = settings.kafka_sasl_password.get_secret_value()
    return config


def group_config(settings: KafkaSettings, group: str) -> Config:
    """Build the part of a librdkafka configuration that a group's member adds."""
    config: Config = {
        "group.id": group,
        "group.protocol": settings.kafka_group_protocol,
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "queued.max.messages.kbytes": PREFETCH_KBYTES,
        "fetch.queue.backoff.ms": FULL_BACKOFF_MS,
        "fetch.wait.max.ms": 1_000,  # of an idle partition only: a record ends the wait
        "topic.metadata.refresh.interval.ms": 30_000,
    }
    if settings.kafka_group_protocol == "classic":
        config["session.timeout.ms"] = SESSION_TIMEOUT_MS
        config["heartbeat.interval.ms"] = SESSION_TIMEOUT_MS // 5
        config["partition.assignment.strategy"] = "cooperative-sticky"
    return config


def ensure_topics(settings: KafkaSettings) -> list[str]:
    """Create the topics that are missing and return their names.

    Raises:
        DependencyUnavailable: when the brokers do not answer or refuse.
    """
    wanted = {
        RAW_TOPIC: (settings.signals_partitions, {"retention.ms": str(WEEK_MS)}),
        JOBS_TOPIC: (JOB_NOTICE_PARTITIONS, {"retention.ms": str(WEEK_MS // 7)}),
        DLQ_TOPIC: (1, {"retention.ms": str(4 * WEEK_MS), "max.message.bytes": str(MAX_RECORD_BYTES)}),
    }
    durable = {"min.insync.replicas": str(min_insync_replicas(settings.signals_replication_factor))}
    faults = BrokerFaults(settings)
    admin = _admin(settings, faults)
    existing = _topics(admin, faults, ADMIN_TIMEOUT_S)
    try:
        missing = [
            NewTopic(
                name,
                num_partitions=partitions,
                replication_factor=settings.signals_replication_factor,
                config=config | durable,
            )
            for name, (partitions, config) in wanted.items()
            if name not in existing
        ]
        if not missing:
            return []
        for name, future in admin.create_topics(missing, operation_timeout=ADMIN_TIMEOUT_S).items():
            _created(name, future)
    except KafkaException as error:
        raise DependencyUnavailable("Kafka", faults.explain(error)) from error
    return [topic.topic for topic in missing]


def min_insync_replicas(replication_factor: int) -> int:
    """Return how many copies an acknowledged event has at least: two, unless one broker less would stop all.

    Kafka's own default of one would let `acks=all` mean a single copy while the others lag behind.
    """
    return min(2, max(1, replication_factor - 1))


def _created(name: str, future: "object") -> None:
    try:
        future.result(timeout=ADMIN_TIMEOUT_S)  # type: ignore[attr-defined]  # the library types it as Any
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:  # another process was faster
            raise


def check_reachable(settings: KafkaSettings, timeout_s: float = 2.0) -> None:
    """Ask a broker for its metadata.

    Raises:
        DependencyUnavailable: when none answers in time.
    """
    faults = BrokerFaults(settings)
    _topics(_admin(settings, faults), faults, timeout_s)


def describe_cluster(settings: KafkaSettings) -> KafkaCluster:
    """Ask a broker who belongs to the cluster and which topics there are.

    Raises:
        DependencyUnavailable: when none answers, or we may not ask.
    """
    faults = BrokerFaults(settings)
    found = _metadata(_admin(settings, faults), faults, ADMIN_TIMEOUT_S)
    return KafkaCluster(
        brokers=len(found.brokers),
        topics={name: len(topic.partitions) for name, topic in found.topics.items()},
    )


def _admin(settings: KafkaSettings, faults: BrokerFaults) -> AdminClient:
    return AdminClient(dict(connection_config(settings, faults)))  # type: ignore[arg-type]  # types lack callables


def _topics(admin: AdminClient, faults: BrokerFaults, timeout_s: float) -> set[str]:
    return set(_metadata(admin, faults, timeout_s).topics)


def _metadata(admin: AdminClient, faults: BrokerFaults, timeout_s: float) -> ClusterMetadata:
    """Ask again and again, so that a refusal ends the wait and not the time."""
    deadline, patience_s = time.monotonic() + timeout_s, FIRST_ANSWER_S
    while True:
        try:
            return admin.list_topics(timeout=min(patience_s, timeout_s))
        except KafkaException as error:
            admin.poll(0)  # serves the error callback
            if faults.is_refused() or time.monotonic() >= deadline:
                raise DependencyUnavailable("Kafka", faults.explain(error)) from error
        timeout_s, patience_s = max(0.1, deadline - time.monotonic()), 2 * patience_s
