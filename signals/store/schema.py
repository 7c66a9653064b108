"""Applies the numbered migrations; safe when several processes start at once."""

from importlib.resources import as_file, files
from typing import LiteralString
from urllib.parse import urlencode

import psycopg
import yoyo
from psycopg.conninfo import conninfo_to_dict

from signals.clients.postgres import TRANSIENT, conninfo
from signals.errors import DependencyUnavailable
from signals.settings import PostgresSettings

LOCK: LiteralString = "SELECT pg_advisory_lock(%(key)s)"
LOCK_KEY = 0x5167_6E61_6C73  # "signals": any constant that nobody else uses


def migrate(settings: PostgresSettings) -> list[str]:
    """Apply what is missing and return its names, oldest first (empty when up to date).

    A session lock of PostgreSQL makes a second process wait; unlike yoyo's own lock row it vanishes
    with its holder, so a killed migration never blocks the next. Needs a direct connection, not a
    transaction pooler.

    Raises:
        DependencyUnavailable: when PostgreSQL cannot be reached.
    """
    dsn = conninfo(settings)
    try:
        with psycopg.connect(dsn, autocommit=True) as holder:
            holder.execute(LOCK, {"key": LOCK_KEY})
            return _apply(dsn)
    except TRANSIENT as error:
        raise DependencyUnavailable("PostgreSQL", str(error).strip()) from error


def _apply(dsn: str) -> list[str]:
    with as_file(files("signals.migrations")) as folder, yoyo.get_backend(_yoyo_uri(dsn)) as backend:
        backend.break_lock()  # a leftover of a killed process: the session lock is ours
        with backend.lock():
            pending = backend.to_apply(yoyo.read_migrations(str(folder)).filter(_is_sql))
            backend.apply_migrations(pending)
            return [migration.id for migration in pending]


def _is_sql(migration: yoyo.migrations.Migration) -> bool:
    return bool(migration.path.endswith(".sql"))  # the package's own module lies beside them


def _yoyo_uri(dsn: str) -> str:
    """Hand everything over as options: yoyo cannot read sockets, IPv6 or escapes in the other parts."""
    options = {key: str(value) for key, value in conninfo_to_dict(dsn).items() if value is not None}
    return f"postgresql+psycopg://?{urlencode(options)}"
