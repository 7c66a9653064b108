"""Migrations run once, from any process, at any number of starts, and after a killed one."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from signals import migrations
from signals.clients.postgres import conninfo
from signals.errors import DependencyUnavailable, MigrationFailed
from signals.local.processes.ports import free_port
from signals.local.stack import RunningStack
from signals.settings import PostgresSettings
from signals.store.operations import schema
from signals.store.operations.schema import migrate

NAMES = sorted(file.stem for file in Path(migrations.__file__).parent.glob("*.sql"))
ODD_NAME = "odd/50% &?name"

MIGRATE = "from signals.settings import PostgresSettings as P; "
MIGRATE += "from signals.store.operations.schema import migrate; print(*migrate(P.from_env()))"


@pytest.fixture
def empty(servers: RunningStack) -> Iterator[PostgresSettings]:
    """An empty database whose name must be quoted everywhere."""
    base = servers.environment["DATABASE_URL"].rpartition("/")[0]
    server = PostgresSettings(database_url=SecretStr(f"{base}/postgres"), pg_sslmode="disable")
    name = sql.Identifier(ODD_NAME)
    with psycopg.connect(conninfo(server), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
        yield PostgresSettings(
            database_url=SecretStr(f"{base}/{quote(ODD_NAME, safe='')}"), pg_sslmode="disable"
        )
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def _applied(settings: PostgresSettings) -> list[str]:
    with psycopg.connect(conninfo(settings)) as connection:
        return [name for (name,) in connection.execute("SELECT migration_id FROM _yoyo_migration ORDER BY 1")]


def test_an_empty_database_gets_every_migration_and_a_second_run_none(empty: PostgresSettings) -> None:
    assert migrate(empty) == NAMES
    assert migrate(empty) == []
    assert _applied(empty) == NAMES


def test_concurrent_processes_all_succeed_and_apply_once(empty: PostgresSettings) -> None:
    environment = {"DATABASE_URL": empty.database_url.get_secret_value(), "PG_SSLMODE": "disable"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", MIGRATE],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    outcomes = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], outcomes
    assert sorted(output.split() for output, _ in outcomes) == [[], [], NAMES]
    assert _applied(empty) == NAMES


def test_lock_of_a_killed_migration_blocks_no_later_one(empty: PostgresSettings) -> None:
    migrate(empty)
    with psycopg.connect(conninfo(empty)) as connection:
        connection.execute("DELETE FROM _yoyo_migration WHERE migration_id >= '0005'")
        connection.execute("DROP SCHEMA pipeline, people CASCADE")
        connection.execute("INSERT INTO yoyo_lock (locked, ctime, pid) VALUES (1, now(), 4711)")
    assert migrate(empty) == [name for name in NAMES if name >= "0005"]


def test_refused_migration_is_named_and_taken_back(
    empty: PostgresSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(Path(migrations.__file__).parent, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(schema, "files", lambda _: tmp_path)
    next_one = tmp_path / "9999.next.sql"
    text = f"-- depends: {NAMES[-1]}\nCREATE TABLE half_made (id int);\nALTER TABLE %s ADD COLUMN a int;\n"
    next_one.write_text(text % "absent")
    with pytest.raises(
        MigrationFailed,
        match=r'^migration 9999\.next failed and changed nothing \(relation "absent" does not exist\); ',
    ):
        migrate(empty)
    assert _applied(empty) == NAMES  # those before it stay
    next_one.write_text(text % "incidents")
    assert migrate(empty) == ["9999.next"]  # as if it had never been tried


def test_unreachable_server_is_named() -> None:
    address = f"postgresql://signals@127.0.0.1:{free_port()}/gone"
    with pytest.raises(DependencyUnavailable, match="PostgreSQL"):
        migrate(PostgresSettings(database_url=SecretStr(address), pg_sslmode="disable"))
