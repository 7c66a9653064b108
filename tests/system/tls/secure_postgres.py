"""TLS switched on in the session's PostgreSQL, and a role that must use it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from signals.local.servers.postgres import Postgres
from signals.ray_node.variables import HOST
from tests.support.waiting import until
from tests.system.tls.certificates import NAME

USER, PASSWORD, DATABASE = "tls_user", "postgres-s3cret", "tls_database"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurePostgres:
    """The server; `port` speaks TLS with whichever certificate was shown last."""

    port: int
    administration: str
    cluster: Path
    owner: tuple[int, int]

    def url(self, *, host: str = NAME, user: str = USER, password: str = PASSWORD) -> str:
        """Return an address of the database that is reached through TLS only."""
        return f"postgresql://{user}:{password}@{host}:{self.port}/{DATABASE}"

    def show(self, pem: str) -> None:
        """Use this key and certificate from now on."""
        path = self.cluster / "tests-tls.pem"
        path.write_text(pem)
        path.chmod(0o600)
        os.chown(path, *self.owner)
        with psycopg.connect(self.administration, autocommit=True) as connection:
            for setting in ("ssl_cert_file", "ssl_key_file"):
                alter = sql.SQL("ALTER SYSTEM SET {} = {}")
                connection.execute(alter.format(sql.Identifier(setting), path.name))
            connection.execute("ALTER SYSTEM SET ssl = on")
            connection.execute("SELECT pg_reload_conf()")
        until(self._speaks_tls, within_s=90)

    def set_password(self, password: str) -> None:
        """Let the role log in with this password only; who is connected stays so."""
        alter = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(USER), password)
        with psycopg.connect(self.administration, autocommit=True) as connection:
            connection.execute(alter)

    def empty(self) -> None:
        """Drop what the role has made in its database."""
        base = self.administration.rpartition("/postgres")[0]
        with psycopg.connect(f"{base}/{DATABASE}?sslmode=disable", autocommit=True) as connection:
            connection.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(USER)))

    def end_connections(self) -> None:
        """End all connections of the role."""
        with psycopg.connect(self.administration, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", [USER]
            )

    def _speaks_tls(self) -> bool:
        """Whether a new connection is encrypted: the postmaster has then read its files again."""
        with psycopg.connect(self.administration, sslmode="prefer") as connection:
            return connection.pgconn.ssl_in_use


@contextmanager
def opened(server: Postgres) -> Iterator[SecurePostgres]:
    """Make the role and its database; afterwards the server is as it was."""
    base = server.variables()["DATABASE_URL"].rsplit("/", 1)[0]
    cluster = server.place.data / "cluster"
    owner = cluster.stat()
    secure = SecurePostgres(
        port=server.port,
        administration=f"{base}/postgres?sslmode=disable",
        cluster=cluster,
        owner=(owner.st_uid, owner.st_gid),
    )
    rules = cluster / "pg_hba.conf"
    before = rules.read_text()
    user, database = sql.Identifier(USER), sql.Identifier(DATABASE)
    with psycopg.connect(secure.administration, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(user, PASSWORD))
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, user))
        rules.write_text(f"hostssl all {USER} {HOST}/32 scram-sha-256\nhost all {USER} all reject\n{before}")
        try:
            yield secure
        finally:
            rules.write_text(before)
            connection.execute("ALTER SYSTEM RESET ALL")
            connection.execute("SELECT pg_reload_conf()")
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(database))
            connection.execute(sql.SQL("DROP ROLE {}").format(user))
