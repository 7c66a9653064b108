"""Everything that a client does works over verified TLS, with the CA as a path and as PEM text."""

from collections.abc import Collection, Mapping

from pydantic import SecretStr

from shared_types import Tenancy
from signals.clients.kafka import DLQ_TOPIC, JOBS_TOPIC, RAW_TOPIC, connection
from signals.clients.kafka.consumer import Ownership, PartitionConsumer, Record
from signals.clients.kafka.publisher import OutgoingRecord, open_publisher
from signals.clients.opensearch.connection import check_reachable, open_client
from signals.clients.opensearch.index import BulkVerdict, bulk_create, ensure_index
from signals.clients.opensearch.search import EventSearch
from signals.clients.postgres import open_pool, transaction
from signals.domain.queries.search import event_query
from signals.services.access import provisioning
from signals.settings import KafkaSettings, OpenSearchSettings, PostgresSettings
from signals.store.access.tenancy import list_projects
from signals.store.operations.schema import migrate
from tests.support.events import NOON, event
from tests.support.waiting import until
from tests.system.tls import secure_kafka, secure_opensearch
from tests.system.tls.certificates import NAME
from tests.system.tls.secure_kafka import Brokers
from tests.system.tls.secure_opensearch import SecureOpenSearch
from tests.system.tls.secure_postgres import SecurePostgres

ELSEWHERE = Tenancy("org_tls", "proj_tls")


def test_schema_and_pool_work_over_verified_tls(secure_database: SecurePostgres, ca: str) -> None:
    settings = PostgresSettings(database_url=SecretStr(secure_database.url()), pg_ca_cert=ca)
    assert settings.sslmode == "verify-full"
    migrate(settings)
    assert migrate(settings) == []
    with open_pool(settings, size=2) as pool:
        provisioning.create_org(pool, "acme", "Acme")
        provisioning.create_project(pool, "web", org_id="acme", name="Web")
        with transaction(pool) as connection:
            assert connection.pgconn.ssl_in_use
            assert [project.id for project in list_projects(connection)] == ["web"]


def test_records_go_through_kafka_and_back_over_sasl_ssl(brokers: Brokers, ca: str) -> None:
    settings = KafkaSettings(
        kafka_brokers=f"{NAME}:{brokers.valid}",
        kafka_security_protocol="SASL_SSL",
        kafka_sasl_username=secure_kafka.USER,
        kafka_sasl_password=SecretStr(secure_kafka.PASSWORD),
        kafka_ca_cert=ca,
        signals_partitions=1,
    )
    connection.check_reachable(settings, timeout_s=20)
    assert set(connection.ensure_topics(settings)) <= {RAW_TOPIC, JOBS_TOPIC, DLQ_TOPIC}
    assert connection.ensure_topics(settings) == []
    value = ca.encode()
    with open_publisher(settings) as publisher:
        publisher.publish_and_wait(RAW_TOPIC, [OutgoingRecord(key=b"k", value=value)])

    def from_the_start(partitions: Collection[int]) -> Mapping[int, int]:
        return dict.fromkeys(partitions, 0)

    ownership = Ownership(gained=from_the_start, lost=lambda _: None)
    with PartitionConsumer(settings, group="tls", topic=RAW_TOPIC, ownership=ownership) as consumer:
        read: list[Record] = []

        def value_is_read() -> bool:
            read.extend(consumer.poll(10, 0.5))
            return value in [record.value for record in read]

        until(value_is_read, within_s=60)
        assert consumer.log_range(0)[1] == len(read)
        consumer.commit({0: len(read)})


def test_documents_are_indexed_and_found_over_https(secure_search: SecureOpenSearch, ca: str) -> None:
    settings = OpenSearchSettings(
        opensearch_url=secure_search.url(),
        opensearch_user=secure_opensearch.USER,
        opensearch_pass=SecretStr(secure_opensearch.PASSWORD),
        opensearch_ca_cert=ca,
    )
    with open_client(settings) as client:
        check_reachable(client, timeout_s=20)
        ensure_index(client)
        assert not ensure_index(client)
        sent = event("error", NOON, tenancy=ELSEWHERE, route="/tls")
        [result] = bulk_create(client, [(str(sent.event_id), sent.to_json())])
        assert result.verdict is BulkVerdict.CREATED
        client.indices.refresh(index="_all")
        query = event_query(text=None, filters=[f"event_id:{sent.event_id}"], since=None, until=None)
        found = EventSearch(client).first(ELSEWHERE, query, limit=1)
        assert [document["event_id"] for document in found.events] == [str(sent.event_id)]
