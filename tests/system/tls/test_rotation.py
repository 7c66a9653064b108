"""Secrets and CAs are rotated under traffic: no acknowledged event is lost, no process restarts."""

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest
from starlette.testclient import TestClient

from actors.indexer import Indexer
from serve_apps.core.replica import build_core_api
from serve_apps.core.resources import open_core_resources
from serve_apps.ingest.replica import build_ingest_api, open_ingest_resources
from signals.clients.kafka import RAW_TOPIC
from signals.clients.kafka.connection import ensure_topics
from signals.clients.kafka.consumer import Ownership, PartitionConsumer
from signals.clients.opensearch import EVENTS_INDEX
from signals.clients.opensearch.connection import Client
from signals.clients.postgres import open_pool
from signals.domain.access.scopes import Scope
from signals.local.stack import RunningStack
from signals.services.access.provisioning import create_org, create_project, issue_key
from signals.settings import KafkaSettings, PostgresSettings
from signals.store.operations.schema import migrate
from tests.support.events import TENANCY
from tests.support.mounting import mount
from tests.support.waiting import pause, until
from tests.system.tls import secure_kafka, secure_opensearch, secure_postgres
from tests.system.tls.certificates import NAME, Certificates
from tests.system.tls.secure_kafka import Brokers
from tests.system.tls.secure_opensearch import SecureOpenSearch
from tests.system.tls.secure_postgres import SecurePostgres

SECOND_USER, SECOND_PASSWORD = "signals-2", "kafka-s3cret-2"
NEW_PASSWORD = "postgres-s3cret-2"
WITHIN_S: Final = 90.0
KAFKA_WITHIN_MS: Final = 15_000  # for a record; a new connection takes as long to replace the old one
AFTER_LOGINS_S: Final = 2.5 * secure_kafka.LOGIN_MS / 1000


class MountedSecrets:
    """The secret files of a pod, changed as kubelet does; records the replicas' log entries about them."""

    def __init__(self, folder: Path, files: Mapping[str, str]) -> None:
        self.folder = folder
        self.files = dict(files)
        self.entries: list[tuple[str, str]] = []
        self.change()

    def change(self, **files: str) -> None:
        """Change some files, in one step."""
        self.entries.clear()
        self.files |= files
        mount(self.folder, self.files)

    def has_logged(self, event: str, settings: str) -> bool:
        """Whether a replica has logged this event since the last change."""
        return (event, settings) in self.entries

    def info(self, event: str, *, settings: str) -> None:
        """Stand in for the logger."""
        self.entries.append((event, settings))

    def warning(self, event: str, *, settings: str, reason: str) -> None:
        """Stand in for the logger; other tests cover the reasons."""
        assert reason
        self.entries.append((event, settings))


@pytest.fixture
def mounted(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    secure_database: SecurePostgres,
    brokers: Brokers,
    secure_search: SecureOpenSearch,
    certificates: Certificates,
    opensearch: Client,  # opened before the variables are set
) -> Iterator[MountedSecrets]:
    """All three servers by secret files; Kafka at the listener where logins end after seconds."""
    monkeypatch.setattr("serve_apps.http.rotating.CHECK_S", 0.2)
    monkeypatch.setattr("actors.loop.CHECK_S", 0.2)
    plain = f"127.0.0.1:{brokers.plain}"
    secure_kafka.add_user(plain, SECOND_USER, SECOND_PASSWORD)
    files = {
        "DATABASE_URL": secure_database.url(),
        "PG_CA_CERT": certificates.ca,
        "KAFKA_SASL_USERNAME": secure_kafka.USER,
        "KAFKA_SASL_PASSWORD": secure_kafka.PASSWORD,
        "KAFKA_CA_CERT": certificates.ca,
        "OPENSEARCH_URL": secure_search.url(),
        "OPENSEARCH_USER": secure_opensearch.USER,
        "OPENSEARCH_PASS": secure_opensearch.PASSWORD,
        "OPENSEARCH_CA_CERT": certificates.ca,
    }
    for name in files:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KAFKA_BROKERS", f"{NAME}:{brokers.short_logins}")
    monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
    monkeypatch.setenv("PG_SSLMODE", "verify-full")
    monkeypatch.setenv("SIGNALS_SECRETS_DIR", str(tmp_path / "secrets"))
    mounted = MountedSecrets(tmp_path / "secrets", files)
    monkeypatch.setattr("serve_apps.http.rotating.log", mounted)
    migrate(PostgresSettings.from_env())
    ensure_topics(KafkaSettings.from_env())
    yield mounted
    secure_kafka.add_user(plain, secure_kafka.USER, secure_kafka.PASSWORD)
    secure_database.set_password(secure_postgres.PASSWORD)
    secure_database.end_connections()
    secure_database.empty()
    secure_kafka.delete_topics(plain)


class Traffic:
    """Sends one event after the other to ingest-api and keeps the ids that it acknowledged."""

    def __init__(self, client: TestClient) -> None:
        self._client = client
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.accepted: list[str] = []
        self.failed: list[str] = []

    def more(self, count: int = 20) -> None:
        """Wait until so many more were accepted."""
        before = len(self.accepted)
        until(lambda: len(self.accepted) >= before + count, within_s=WITHIN_S)

    def _run(self) -> None:
        while not self._stopping.is_set():
            now = datetime.now(UTC).isoformat()
            body = {"event_type": "signup", "occurred_at": now, "message": "rotation"}
            answer = self._client.post("/v1/events", json=body)
            if answer.status_code == 202:
                self.accepted.append(answer.json()["event_id"])
            else:
                self.failed.append(answer.text)

    def __enter__(self) -> "Traffic":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()


def issue(scope: Scope) -> str:
    """Make a key in the database that the secret files name."""
    with open_pool(PostgresSettings.from_env(), size=1) as pool:
        create_org(pool, TENANCY.org_id, "An organisation")
        create_project(pool, TENANCY.project_id, org_id=TENANCY.org_id, name="A project")
        return issue_key(pool, TENANCY.project_id, scope, ending_oldest=True).text


@contextmanager
def ingest_traffic(key_cache_s: float = 0.01) -> Iterator[Traffic]:
    """ingest-api as a replica opens it, under traffic that asks PostgreSQL for its key again and again."""
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIGNALS_KEY_CACHE_S", str(key_cache_s))
        patch.setattr("serve_apps.ingest.replica.ANSWER_WITHIN_S", 60.0)
        patch.setattr("signals.clients.kafka.publisher.MESSAGE_TIMEOUT_MS", KAFKA_WITHIN_MS)
        headers = {"Authorization": f"Bearer {issue(Scope.INGEST)}"}
        app = build_ingest_api(open_ingest_resources(stack))
        client = stack.enter_context(TestClient(app, headers=headers))
        traffic = stack.enter_context(Traffic(client))
        traffic.more()
        yield traffic


def all_are_stored(brokers: Brokers, wanted: Sequence[str]) -> None:
    """Read the topic over the listener without authentication, until it has given every one of these ids."""
    settings = KafkaSettings(
        kafka_brokers=f"127.0.0.1:{brokers.plain}",
        kafka_security_protocol="PLAINTEXT",
        kafka_ca_cert=None,
        kafka_sasl_username=None,
    )
    ownership = Ownership(gained=lambda found: dict.fromkeys(found, 0), lost=lambda _: None)
    missing = set(wanted)
    with PartitionConsumer(settings, group="rotation-test", topic=RAW_TOPIC, ownership=ownership) as consumer:

        def has_read_all() -> bool:
            records = consumer.poll(1_000, 1.0)
            missing.difference_update(json.loads(record.value)["event_id"] for record in records)
            return not missing

        until(has_read_all, within_s=WITHIN_S)


@contextmanager
def proxy(upstream: str, folder: Path, configuration: Path, shown: str) -> Iterator[SecureOpenSearch]:
    """Another HTTPS proxy of the session's OpenSearch, with one of the folder's certificates."""
    configuration.mkdir()
    valid, expired = folder / shown, folder / "expired.pem"
    with secure_opensearch.running(upstream, configuration, valid=valid, expired=expired) as opened:
        yield opened


def indexed(client: Client, ids: Sequence[str]) -> bool:
    """Whether each id has its document."""
    found = client.mget(body={"ids": list(ids)}, index=EVENTS_INDEX)["docs"]
    return all(document["found"] for document in found)


def test_kafka_user_is_replaced_while_events_come(mounted: MountedSecrets, brokers: Brokers) -> None:
    with ingest_traffic() as traffic:
        mounted.change(KAFKA_SASL_USERNAME=SECOND_USER, KAFKA_SASL_PASSWORD=SECOND_PASSWORD)
        traffic.more(60)
        until(lambda: mounted.has_logged("connections renewed", "KafkaSettings"), within_s=WITHIN_S)
        secure_kafka.remove_user(f"127.0.0.1:{brokers.plain}", secure_kafka.USER)
        pause(AFTER_LOGINS_S)  # the old user's logins run out
        traffic.more()
    assert traffic.failed == []
    all_are_stored(brokers, traffic.accepted)


def test_wrong_kafka_password_leaves_the_old_connections_in_use(mounted: MountedSecrets) -> None:
    with ingest_traffic() as traffic:
        mounted.change(KAFKA_SASL_PASSWORD="wr0ng")
        until(lambda: mounted.has_logged("rotation waits", "KafkaSettings"), within_s=WITHIN_S)
        traffic.more(60)
        mounted.change(KAFKA_SASL_PASSWORD=secure_kafka.PASSWORD)
        traffic.more()
    assert traffic.failed == []


def test_postgresql_password_is_changed_while_keys_are_looked_up(
    mounted: MountedSecrets, secure_database: SecurePostgres
) -> None:
    with ingest_traffic() as traffic:
        secure_database.set_password(NEW_PASSWORD)
        traffic.more()  # what is connected stays connected
        mounted.change(DATABASE_URL=secure_database.url(password=NEW_PASSWORD))
        until(lambda: mounted.has_logged("connections renewed", "PostgresSettings"), within_s=WITHIN_S)
        secure_database.end_connections()
        traffic.more(60)
    assert traffic.failed == []


def test_ca_of_postgresql_is_rotated_through_a_bundle_of_both(
    mounted: MountedSecrets, secure_database: SecurePostgres, certificates: Certificates
) -> None:
    with ingest_traffic() as traffic:
        mounted.change(PG_CA_CERT=certificates.ca + certificates.other_ca)
        until(lambda: mounted.has_logged("connections renewed", "PostgresSettings"), within_s=WITHIN_S)
        secure_database.show(certificates.other_valid)
        secure_database.end_connections()
        traffic.more(60)
        mounted.change(PG_CA_CERT=certificates.other_ca)
        until(lambda: mounted.has_logged("connections renewed", "PostgresSettings"), within_s=WITHIN_S)
        secure_database.end_connections()
        traffic.more()
    assert traffic.failed == []


def test_core_api_moves_to_another_opensearch_with_another_ca(
    mounted: MountedSecrets,
    certificates: Certificates,
    servers: RunningStack,
    opensearch: Client,
    folder: Path,
    tmp_path: Path,
) -> None:
    upstream = urlsplit(servers.environment["OPENSEARCH_URL"]).netloc
    headers = {"Authorization": f"Bearer {issue(Scope.READ)}"}
    with ExitStack() as stack:
        before = stack.enter_context(proxy(upstream, folder, tmp_path / "a", "valid.pem"))
        mounted.change(OPENSEARCH_URL=before.url())
        app = build_core_api(open_core_resources(stack))
        client = stack.enter_context(TestClient(app, headers=headers))
        assert client.get("/v1/search/events").status_code == 200
        with proxy(upstream, folder, tmp_path / "b", "other-valid.pem") as after:
            mounted.change(OPENSEARCH_URL=after.url(), OPENSEARCH_CA_CERT=certificates.other_ca)
            until(lambda: mounted.has_logged("connections renewed", "OpenSearchSettings"), within_s=WITHIN_S)
            assert client.get("/v1/search/events").status_code == 200
        assert client.get("/v1/search/events").status_code == 503  # it did go over the second one


def test_consumer_continues_with_new_secrets_without_restart(
    mounted: MountedSecrets, brokers: Brokers, opensearch: Client
) -> None:
    with ingest_traffic() as traffic:
        indexer = Indexer("indexer-rotating")
        until(lambda: indexed(opensearch, traffic.accepted[:1]), within_s=WITHIN_S)
        mounted.change(KAFKA_SASL_USERNAME=SECOND_USER, KAFKA_SASL_PASSWORD=SECOND_PASSWORD)
        until(lambda: mounted.has_logged("connections renewed", "KafkaSettings"), within_s=WITHIN_S)
        secure_kafka.remove_user(f"127.0.0.1:{brokers.plain}", secure_kafka.USER)
        pause(AFTER_LOGINS_S)
        traffic.more()
    until(lambda: indexed(opensearch, traffic.accepted), within_s=WITHIN_S)
    until(lambda: indexer.health().state == "running", within_s=WITHIN_S)
    indexer.stop()
    until(lambda: indexer.health().state == "stopped", within_s=WITHIN_S)
    indexer.resources.close()
    assert traffic.failed == []
