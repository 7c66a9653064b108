"""Real servers for every test that asks: one set a session, clean state a test."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from unittest.mock import patch
from uuid import uuid4

import psycopg
import pytest
from confluent_kafka.admin import AdminClient
from opensearchpy import TransportError
from psycopg import sql
from psycopg_pool import ConnectionPool
from pydantic import SecretStr
from xdist.remote import Producer

from signals.clients.kafka import DLQ_TOPIC, JOBS_TOPIC, RAW_TOPIC
from signals.clients.kafka import publisher as kafka_publisher
from signals.clients.kafka.connection import ensure_topics
from signals.clients.kafka.publisher import Publisher, open_publisher
from signals.clients.opensearch import EVENTS_INDEX
from signals.clients.opensearch import connection as opensearch_connection
from signals.clients.opensearch.connection import Client, open_client
from signals.clients.opensearch.index import ensure_index
from signals.clients.postgres import Connection, conninfo, open_pool
from signals.local.processes import ports
from signals.local.processes.account import hand_over
from signals.local.servers.postgres import Postgres
from signals.local.stack import RunningStack, ephemeral
from signals.settings import KafkaSettings, OpenSearchSettings, PostgresSettings
from signals.store.operations.schema import migrate
from tests.support.pgbouncer import pooled
from tests.support.scheduling import SchedulingByPlace
from tests.support.waiting import until

TEMPLATE = "signals_template"
MEMORY: Final = Path("/dev/shm")  # a folder of our own in it
ROOM_BYTES: Final = 1_000_000_000
STRATEGIES_SINCE: Final = 150_000  # PostgreSQL's server_version; before it files are always copied
INDEX_S: Final = 60.0  # a cold OpenSearch took 20 s while 30 processes waited for two cores
BROKER_S: Final = 90.0  # a session of a killed member lasts 45 s (group.consumer.session.timeout.ms)


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """PostgreSQL, Kafka and OpenSearch on free ports, gone with this process."""
    with ephemeral(tmp_path_factory.mktemp("servers"), environ=os.environ) as stack:
        _leave_writing_to_the_kernel(stack)
        yield stack


def _leave_writing_to_the_kernel(servers: RunningStack) -> None:
    """Turn fsync off: no test cuts the power, and each drops a database."""
    with psycopg.connect(conninfo(_postgres(servers, "postgres")), autocommit=True) as connection:
        for name in ("fsync", "full_page_writes"):
            connection.execute(sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(name)))
        connection.execute("SELECT pg_reload_conf()")


def _postgres(servers: RunningStack, database: str) -> PostgresSettings:
    base = servers.environment["DATABASE_URL"].rsplit("/", 1)[0]
    return PostgresSettings(database_url=SecretStr(f"{base}/{database}"), pg_sslmode="disable")


HEAVY: Final = (
    "tests/system/e2e",
    "tests/system/faults",
    "tests/system/tls",
    "tests/system",
    "tests/integration",
)
"""Begun first, in this order: a run in parallel lasts as long as its longest worker."""


def pytest_configure(config: pytest.Config) -> None:
    """Give each worker of a parallel run its own part of the ports: a test listens only after a while."""
    worker = getattr(config, "workerinput", {"workerid": "gw0", "workercount": 1})
    workers = worker["workercount"]
    number, share = int(worker["workerid"].removeprefix("gw")) % workers, ports.COUNT // workers
    own = pytest.MonkeyPatch()
    own.setattr(ports, "FIRST", ports.FIRST + number * share)
    own.setattr(ports, "COUNT", share)
    config.add_cleanup(own.undo)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that take longest."""
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    place = item.path.relative_to(item.config.rootpath).as_posix()
    return next((rank for rank, heavy in enumerate(HEAVY) if place.startswith(heavy)), len(HEAVY))


@pytest.hookimpl(optionalhook=True)  # xdist's
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> SchedulingByPlace:
    """Keep together what shares a running product or a file."""
    return SchedulingByPlace(config, log)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a whole run go through PgBouncer (make pooler)."""
    parser.addoption("--pooler", action="store_true", help="put PgBouncer before PostgreSQL")


@pytest.fixture(scope="session")
def pooler(
    servers: RunningStack, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str | None]:
    """The address of a PgBouncer in transaction mode when the run asks for one, else None."""
    if not pytestconfig.getoption("--pooler"):
        yield None
        return
    postgres = servers.servers["postgres"].recipe
    assert isinstance(postgres, Postgres)
    with pooled(servers.environment["DATABASE_URL"], postgres.place.data.parent / "pgbouncer") as address:
        yield address


def _through(pooler: str, database: str) -> PostgresSettings:
    return PostgresSettings(
        database_url=SecretStr(f"{pooler}/{database}"), pg_sslmode="disable", pg_prepared_statements=False
    )


@pytest.fixture(scope="session")
def template_database(servers: RunningStack) -> str:
    """The name of a migrated database that no test writes to."""
    administration = _postgres(servers, "postgres")
    with psycopg.connect(conninfo(administration), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(TEMPLATE)))
    migrate(_postgres(servers, TEMPLATE))
    return TEMPLATE


@pytest.fixture(scope="session")
def tablespace(servers: RunningStack) -> Iterator[str]:
    """The place of the tests' databases: memory where there is room.

    A database is 600 files. An ext4 without a journal takes longer and longer to make one where many were
    deleted within five minutes (ialloc.c, recently_deleted): 60 % of the processor time of a run.
    """
    postgres = servers.servers["postgres"].recipe
    if (
        not MEMORY.is_dir()
        or shutil.disk_usage(MEMORY).free < ROOM_BYTES
        or not isinstance(postgres, Postgres)
    ):
        yield "pg_default"
        return
    with TemporaryDirectory(dir=MEMORY, prefix="signals-tests-", ignore_cleanup_errors=True) as folder:
        hand_over(postgres.place.account, Path(folder))
        with psycopg.connect(conninfo(_postgres(servers, "postgres")), autocommit=True) as connection:
            create = sql.SQL("CREATE TABLESPACE {name} LOCATION {folder}")
            connection.execute(create.format(name=sql.Identifier("memory"), folder=sql.Literal(folder)))
        yield "memory"


@pytest.fixture
def database(
    servers: RunningStack, template_database: str, tablespace: str, pooler: str | None
) -> Iterator[PostgresSettings]:
    """A database of the test's own, with the schema in place."""
    name = f"test_{uuid4().hex[:12]}"
    with psycopg.connect(conninfo(_postgres(servers, "postgres")), autocommit=True) as connection:
        names = {
            "name": sql.Identifier(name),
            "template": sql.Identifier(template_database),
            "place": sql.Identifier(tablespace),
        }
        # Without waiting for the disk, to copy the files is five times quicker than to log their pages.
        how = sql.SQL("STRATEGY FILE_COPY" if connection.info.server_version >= STRATEGIES_SINCE else "")
        create = sql.SQL("CREATE DATABASE {name} TEMPLATE {template} TABLESPACE {place} {how}")
        connection.execute(create.format(**names, how=how))
        yield _postgres(servers, name) if pooler is None else _through(pooler, name)
        connection.execute(sql.SQL("DROP DATABASE {name} WITH (FORCE)").format(**names))


@pytest.fixture
def pool(database: PostgresSettings) -> Iterator[ConnectionPool[Connection]]:
    """A pool on the test's own database."""
    with open_pool(database, size=4) as pool:
        yield pool


@pytest.fixture
def kafka(servers: RunningStack) -> KafkaSettings:
    """Kafka with empty topics."""
    settings = KafkaSettings(
        kafka_brokers=servers.environment["KAFKA_BROKERS"],
        kafka_group_protocol="consumer",
        signals_partitions=3,
    )
    admin = AdminClient({"bootstrap.servers": settings.kafka_brokers})
    ours = {RAW_TOPIC, JOBS_TOPIC, DLQ_TOPIC}
    if existing := ours & set(admin.list_topics(timeout=BROKER_S).topics):
        for deletion in admin.delete_topics(list(existing)).values():
            deletion.result(timeout=BROKER_S)
        until(lambda: not ours & set(admin.list_topics(timeout=BROKER_S).topics), within_s=BROKER_S)
    until(lambda: _groups_are_gone(admin), within_s=BROKER_S)
    ensure_topics(settings)
    return settings


def _groups_are_gone(admin: AdminClient) -> bool:
    """Delete all consumer groups; one whose member was killed only goes when its session has run out."""
    groups = [group.group_id for group in admin.list_consumer_groups().result(timeout=BROKER_S).valid or []]
    if not groups:
        return True
    deletions = admin.delete_consumer_groups(groups).values()
    errors = [deletion.exception(timeout=BROKER_S) for deletion in deletions]
    return all(error is None for error in errors)


@pytest.fixture
def publisher(kafka: KafkaSettings) -> Iterator[Publisher]:
    """A publisher on the test's Kafka."""
    with ExitStack() as stack:
        with patch.object(kafka_publisher, "MESSAGE_TIMEOUT_MS", round(BROKER_S * 1000)):
            publisher = stack.enter_context(open_publisher(kafka))
        publisher.get_ready(RAW_TOPIC, within_s=BROKER_S)
        yield publisher


@pytest.fixture(scope="session")
def empty_index() -> list[object]:
    """The state of the events index when it was made last, if it was."""
    return []


@pytest.fixture
def opensearch(servers: RunningStack, empty_index: list[object]) -> Iterator[Client]:
    """OpenSearch with an empty events index: a new one, unless the last test left it as it was."""
    settings = OpenSearchSettings(opensearch_url=servers.environment["OPENSEARCH_URL"])
    with ExitStack() as stack:
        with patch.object(opensearch_connection, "REQUEST_TIMEOUT_S", INDEX_S):
            client = stack.enter_context(open_client(settings))
        if _index_state(client) not in empty_index:
            client.indices.delete(index=EVENTS_INDEX, ignore_unavailable=True)
            ensure_index(client)
            empty_index[:] = [_index_state(client)]
        yield client


def _index_state(client: Client) -> object:
    """Return everything that a test may change in the events index, or why it cannot be read."""
    try:
        metadata = client.cluster.state(metric="metadata", index=EVENTS_INDEX)["metadata"]["indices"]
        writes = client.indices.stats(index=EVENTS_INDEX, metric="indexing")["_all"]["total"]["indexing"]
    except TransportError as error:  # it is missing, or closed
        return repr(error)
    return metadata, writes["index_total"], writes["delete_total"]


@pytest.fixture
def repository() -> Path:
    """The root of the source tree."""
    return Path(__file__).parent.parent
