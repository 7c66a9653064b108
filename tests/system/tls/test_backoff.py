"""A consumer without access reports the cause in its state, and continues once access is back."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress

import pytest
from psycopg_pool import ConnectionPool
from pydantic import SecretStr

from actors.loop import ConsumerLoop, Session
from signals.clients.kafka.publisher import Publisher
from signals.clients.opensearch.connection import Client, open_client
from signals.clients.opensearch.index import bulk_create
from signals.clients.postgres import Connection, open_pool, transaction
from signals.errors import DependencyUnavailable
from signals.services.indexing import EventIndexer, Writer
from signals.settings import KafkaSettings, OpenSearchSettings, PostgresSettings
from signals.store.operations import workers
from tests.support.waiting import until
from tests.system.tls import secure_kafka, secure_opensearch
from tests.system.tls.certificates import NAME, Certificates
from tests.system.tls.secure_kafka import Brokers
from tests.system.tls.secure_opensearch import SecureOpenSearch
from tests.system.tls.secure_postgres import SecurePostgres

WRONG = SecretStr("wr0ng-s3cret")


def _settings(brokers: Brokers, certificates: Certificates, **changes: object) -> KafkaSettings:
    right = KafkaSettings(
        kafka_brokers=f"{NAME}:{brokers.valid}",
        kafka_security_protocol="SASL_SSL",
        kafka_sasl_username=secure_kafka.USER,
        kafka_sasl_password=SecretStr(secure_kafka.PASSWORD),
        kafka_ca_cert=certificates.ca,
    )
    return right.model_copy(update=changes)


@pytest.fixture
def backing_off(
    pool: ConnectionPool[Connection], opensearch: Client, publisher: Publisher
) -> Callable[[KafkaSettings, str], None]:
    """Run a consumer until it reports that it backs off with this detail, which others read."""

    def run(settings: KafkaSettings, said: str) -> None:
        def session(_: threading.Event) -> AbstractContextManager[Session]:
            return EventIndexer(settings, pool, Writer(opensearch), publisher, tick_s=15)

        reported = ""

        def is_said() -> bool:
            nonlocal reported
            reported = _reported(pool) or reported
            return reported == said

        loop = ConsumerLoop("indexer-tls", "indexer", pool, session)
        try:
            with suppress(TimeoutError):  # a slow broker may be reported before
                until(is_said, within_s=90)
            assert reported == said
        finally:
            loop.stop()
            until(lambda: loop.has_ended)

    return run


def _reported(pool: ConnectionPool[Connection]) -> str:
    with transaction(pool) as connection:
        return "".join(w.detail for w in workers.list_all(connection) if w.state == "backing-off")


def test_consumer_with_an_outdated_password_names_its_variable(
    brokers: Brokers, certificates: Certificates, backing_off: Callable[[KafkaSettings, str], None]
) -> None:
    backing_off(
        _settings(brokers, certificates, kafka_sasl_password=WRONG),
        "Kafka is unavailable: it refuses user and password: "
        "check KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD",
    )


def test_consumer_that_distrusts_the_brokers_names_the_ca(
    brokers: Brokers, certificates: Certificates, backing_off: Callable[[KafkaSettings, str], None]
) -> None:
    backing_off(
        _settings(brokers, certificates, kafka_ca_cert=certificates.other_ca),
        "Kafka is unavailable: no trusted CA has signed its certificate: "
        "set KAFKA_CA_CERT to the CA that did",
    )


def test_unconnected_pool_reports_the_cause_instead_of_a_timeout(
    secure_database: SecurePostgres, certificates: Certificates
) -> None:
    settings = PostgresSettings(
        database_url=SecretStr(secure_database.url(password=WRONG.get_secret_value())),
        pg_ca_cert=certificates.ca,
    )
    said = "PostgreSQL is unavailable: it refuses user and password: check DATABASE_URL$"
    with (
        open_pool(settings, size=1) as pool,
        pytest.raises(DependencyUnavailable, match=said),
        transaction(pool),
    ):
        raise AssertionError("the login must fail")


def test_refused_bulk_is_retried_later_and_reports_the_cause(
    secure_search: SecureOpenSearch, certificates: Certificates
) -> None:
    settings = OpenSearchSettings(
        opensearch_url=secure_search.url(),
        opensearch_user=secure_opensearch.USER,
        opensearch_pass=WRONG,
        opensearch_ca_cert=certificates.ca,
    )
    said = "it refuses user and password: check OPENSEARCH_USER and OPENSEARCH_PASS$"
    with open_client(settings) as client, pytest.raises(DependencyUnavailable, match=said):
        bulk_create(client, [("id", b"{}")])
