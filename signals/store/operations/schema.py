"""Applies the numbered migrations; safe when several processes start at once."""

from importlib.resources import as_file, files
from typing import Any, LiteralString

import psycopg
import yoyo
from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import InsufficientPrivilege
from yoyo.backends import PostgresqlPsycopgBackend
from yoyo.connections import DatabaseURI
from yoyo.migrations import default_migration_table

from signals.clients.diagnosis import one_line
from signals.clients.postgres import TRANSIENT, Connection, conninfo
from signals.clients.postgres_faults import explain
from signals.errors import DependencyUnavailable, MigrationFailed
from signals.settings import PostgresSettings

STAY: LiteralString = "SET LOCAL idle_in_transaction_session_timeout = 0"  # the lock's transaction only waits
LOCK: LiteralString = "SELECT pg_advisory_xact_lock(%(key)s)"
LOCK_KEY = 0x5167_6E61_6C73  # "signals": any constant that no other program uses


def migrate(settings: PostgresSettings) -> list[str]:
    """Apply what is missing and return its names, oldest first (empty when up to date).

    A lock of PostgreSQL makes a second process wait; unlike yoyo's own lock row it vanishes with its
    holder, so a killed migration never blocks the next. A transaction holds it, not a session: so this
    works through a pooler in transaction mode, too, which must have two more connections to give.

    Raises:
        DependencyUnavailable: when PostgreSQL cannot be reached or does not let us.
        MigrationFailed: naming the one that PostgreSQL refused; those before it stay applied.
    """
    dsn = conninfo(settings)
    try:
        with psycopg.connect(dsn) as holder:
            holder.execute(STAY)
            holder.execute(LOCK, {"key": LOCK_KEY})
            return _apply(dsn)
    except InsufficientPrivilege as error:
        wish = f"let the user of DATABASE_URL create schemas and tables ({error.diag.message_primary})"
        raise DependencyUnavailable("PostgreSQL", wish) from error
    except TRANSIENT as error:
        raise DependencyUnavailable("PostgreSQL", explain(error, dsn)) from error


HAS_TABLE: LiteralString = "SELECT to_regclass('_yoyo_migration') IS NOT NULL"
APPLIED: LiteralString = "SELECT migration_id FROM _yoyo_migration"


def compare(connection: Connection) -> tuple[list[str], list[str]]:
    """Return the migrations that are not applied yet, and those applied that this release does not know."""
    (has_table,) = connection.execute(HAS_TABLE).fetchone() or (False,)
    applied = {row[0] for row in connection.execute(APPLIED)} if has_table else set()
    with as_file(files("signals.migrations")) as folder:
        known = [path.stem for path in sorted(folder.glob("*.sql"))]
    return [name for name in known if name not in applied], sorted(applied.difference(known))


def _apply(dsn: str) -> list[str]:
    with (
        as_file(files("signals.migrations")) as folder,
        _Backend(_uri(dsn), default_migration_table) as backend,
    ):
        backend.init_database()
        backend.break_lock()  # a leftover of a killed process: the real lock is ours
        with backend.lock():
            pending = backend.to_apply(yoyo.read_migrations(str(folder)).filter(_is_sql))
            for migration in pending:
                _apply_one(backend, migration)
            return [migration.id for migration in pending]


def _apply_one(backend: "_Backend", migration: yoyo.migrations.Migration) -> None:
    """Apply a migration in a transaction of its own."""
    try:
        backend.apply_one(migration)
    except (InsufficientPrivilege, *TRANSIENT):
        raise
    except psycopg.Error as error:
        raise MigrationFailed(migration.id, error.diag.message_primary or one_line(str(error))) from error


def _is_sql(migration: yoyo.migrations.Migration) -> bool:
    return bool(migration.path.endswith(".sql"))  # the package's own module lies beside them


class _Backend(PostgresqlPsycopgBackend):  # type: ignore[misc]  # yoyo ships no types
    """yoyo's own, without prepared statements: a pooler would send them to the wrong server."""

    def connect(self, dburi: DatabaseURI) -> Any:
        connection = super().connect(dburi)
        connection.prepare_threshold = None
        return connection


def _uri(dsn: str) -> DatabaseURI:
    """Hand everything over as options: yoyo cannot read sockets, IPv6 or escapes in the other parts."""
    options = {key: str(value) for key, value in conninfo_to_dict(dsn).items() if value is not None}
    return DatabaseURI(
        scheme="postgresql+psycopg",
        username=None,
        password=None,
        hostname=None,
        port=None,
        database=None,
        args=options,
    )
