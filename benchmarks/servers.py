"""The real servers of one row, in a folder of their own, gone with the row."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final
from uuid import uuid4

import psycopg
from psycopg import sql
from pydantic import SecretStr

from benchmarks.cpu import tree_cpu_s
from benchmarks.rounds import Plan
from signals.clients.postgres import conninfo
from signals.local.stack import RunningStack, ephemeral
from signals.settings import KafkaSettings, OpenSearchSettings, PostgresSettings
from signals.store.operations.schema import migrate

TEMPLATE: Final = "bench_template"


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """How to reach the servers that a row asked for, and what they have used."""

    stack: RunningStack

    def kafka(self, *, partitions: int = 6) -> KafkaSettings:
        """Return settings; six partitions are the product's default."""
        return KafkaSettings(
            kafka_brokers=self.stack.environment["KAFKA_BROKERS"],
            kafka_group_protocol="consumer",
            signals_partitions=partitions,
        )

    def postgres(self, database: str) -> PostgresSettings:
        """Return settings for a database by name."""
        base = self.stack.environment["DATABASE_URL"].rsplit("/", 1)[0]
        return PostgresSettings(database_url=SecretStr(f"{base}/{database}"), pg_sslmode="disable")

    def opensearch(self) -> OpenSearchSettings:
        """Return settings."""
        return OpenSearchSettings(opensearch_url=self.stack.environment["OPENSEARCH_URL"])

    def prepare_template(self) -> PostgresSettings:
        """Make the migrated database that others are copied from; a row may fill it first."""
        self._administer("CREATE DATABASE {}", TEMPLATE)
        migrate(self.postgres(TEMPLATE))
        return self.postgres(TEMPLATE)

    @contextmanager
    def fresh_database(self, *, empty: bool = False) -> Iterator[PostgresSettings]:
        """Copy the template (or nothing) to a database of its own, dropped at the end of the block."""
        name = f"bench_{uuid4().hex[:12]}"
        origin = "template1" if empty else TEMPLATE
        self._administer("CREATE DATABASE {} TEMPLATE {}", name, origin)
        try:
            yield self.postgres(name)
        finally:
            self._administer("DROP DATABASE {} WITH (FORCE)", name)

    def meters(self) -> Mapping[str, Callable[[], float]]:
        """Return a reader of each server's processor time so far, as `<server>_cpu_s`."""
        pids = {name: server.process.pid for name, server in self.stack.servers.items()}
        return {f"{name}_cpu_s": partial(tree_cpu_s, pid) for name, pid in pids.items() if pid is not None}

    def _administer(self, statement: str, *names: str) -> None:
        query = sql.SQL(statement).format(*map(sql.Identifier, names))
        with psycopg.connect(conninfo(self.postgres("postgres")), autocommit=True) as connection:
            connection.execute(query)


@contextmanager
def open_servers(plan: Plan, *names: str) -> Iterator[Servers]:
    """Start the named servers (postgres, kafka, opensearch) with the settings that a laptop gets."""
    with ephemeral(plan.folder / "servers", servers=names) as stack:
        yield Servers(stack=stack)
