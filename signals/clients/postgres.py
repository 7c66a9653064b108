"""The door to PostgreSQL: how to connect, and what a lost connection means."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool, PoolTimeout

from signals.clients.tls import ca_file
from signals.errors import DependencyUnavailable
from signals.settings import PostgresSettings

Connection = psycopg.Connection[TupleRow]

CONNECT_TIMEOUT_S = 5  # guess: a server that needs longer is away
STATEMENT_TIMEOUT_MS = 30_000  # guess: an order above the slowest statement measured

# Retry later: the connection or the server went away, or a concurrent writer won.
TRANSIENT = (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout)


def conninfo(settings: PostgresSettings) -> str:
    """Build libpq's connection string; the TLS mode is always explicit.

    Source: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
    """
    extra: dict[str, str] = {"sslmode": settings.sslmode}
    if settings.pg_ca_cert:
        extra["sslrootcert"] = ca_file("PG_CA_CERT", settings.pg_ca_cert)
    return make_conninfo(
        settings.database_url.get_secret_value(),
        connect_timeout=str(CONNECT_TIMEOUT_S),
        application_name="signals",
        **extra,
    )


@contextmanager
def open_pool(settings: PostgresSettings, *, size: int) -> Iterator[ConnectionPool[Connection]]:
    """Open a pool of up to `size` connections, made on demand; UTC and statement limits are set on each."""
    prepare = {} if settings.pg_prepared_statements else {"prepare_threshold": None}
    with ConnectionPool(
        conninfo(settings),
        min_size=1,
        max_size=size,
        timeout=CONNECT_TIMEOUT_S,
        max_idle=60,
        kwargs={"options": f"-c timezone=UTC -c statement_timeout={STATEMENT_TIMEOUT_MS}", **prepare},
        check=ConnectionPool.check_connection,
        open=True,
    ) as pool:
        yield pool


@contextmanager
def transaction(pool: ConnectionPool[Connection]) -> Iterator[Connection]:
    """Run one transaction: commit at the end, roll back on any exception.

    Raises:
        DependencyUnavailable: when the server cannot be reached or breaks off. The commit may then have
            happened or not; whoever cares repeats its work under a compare-and-set.
    """
    try:
        with pool.connection() as connection:
            yield connection
    except TRANSIENT as error:
        raise DependencyUnavailable("PostgreSQL", str(error).strip() or type(error).__name__) from error
