"""Stacks of earlier releases on real servers, before and after their upgrade."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg_pool import ConnectionPool
from pydantic import SecretStr
from typer.testing import CliRunner, Result

from signals.cli import app as signals_cli
from signals.clients.opensearch.connection import Client, open_client
from signals.clients.postgres import Connection, open_pool
from signals.local.stack import RunningStack
from signals.settings import KafkaSettings, OpenSearchSettings, PostgresSettings, variables
from tests.system.upgrade.fixtures import FOLDERS, Fixture

Run = Callable[..., Result]


@pytest.fixture(scope="module", params=FOLDERS, ids=[folder.name for folder in FOLDERS])
def old(request: pytest.FixtureRequest) -> Fixture:
    """A stack as one release left it."""
    assert isinstance(request.param, Path)
    return Fixture(request.param)


def _url(servers: RunningStack, database: str) -> str:
    return f"{servers.environment['DATABASE_URL'].rpartition('/')[0]}/{database}"


@contextmanager
def _new_database(servers: RunningStack, template: str) -> Iterator[str]:
    """A database that is gone afterwards; its name."""
    name = f"upgrade_{uuid4().hex[:12]}"
    names = {"name": sql.Identifier(name), "template": sql.Identifier(template)}
    with psycopg.connect(_url(servers, "postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {name} TEMPLATE {template}").format(**names))
        yield name
        connection.execute(sql.SQL("DROP DATABASE {name} WITH (FORCE)").format(**names))


@pytest.fixture(scope="module")
def old_template(servers: RunningStack, old: Fixture) -> Iterator[str]:
    """The name of a database as the release left it, which no test writes to."""
    with _new_database(servers, "template0") as name:
        old.restore_database(_url(servers, name))
        yield name


@pytest.fixture
def database_url(servers: RunningStack, old_template: str) -> Iterator[str]:
    """A database of the test's own, as the release left it."""
    with _new_database(servers, old_template) as name:
        yield _url(servers, name)


@pytest.fixture
def run(servers: RunningStack, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `signals` in an empty folder, with the test's servers in the environment."""
    for name in variables():
        monkeypatch.delenv(name, raising=False)
    for name, value in {**servers.environment, "DATABASE_URL": database_url}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(signals_cli, arguments, catch_exceptions=False)

    return invoke


@pytest.fixture
def upgraded(database_url: str, run: Run) -> PostgresSettings:
    """The test's database after `signals migrate` of this release."""
    assert run("migrate").exit_code == 0
    return PostgresSettings(database_url=SecretStr(database_url), pg_sslmode="disable")


@pytest.fixture
def pool(upgraded: PostgresSettings) -> Iterator[ConnectionPool[Connection]]:
    """A pool on the upgraded database."""
    with open_pool(upgraded, size=4) as pool:
        yield pool


@pytest.fixture
def old_index(servers: RunningStack, old: Fixture) -> Iterator[Client]:
    """OpenSearch with the index as the release left it; tests that only read share it."""
    with open_client(OpenSearchSettings(opensearch_url=servers.environment["OPENSEARCH_URL"])) as client:
        old.restore_index(client)
        yield client


@pytest.fixture
def old_topics(old: Fixture, kafka: KafkaSettings) -> KafkaSettings:
    """Kafka with every record at its old offset."""
    old.restore_topics(kafka.kafka_brokers)
    return kafka
