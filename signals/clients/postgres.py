"""The door to PostgreSQL: how to connect, and what a lost connection means.

Nothing here outlives a transaction, so that a pooler in transaction mode may stand in between.
"""

import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, LiteralString, Self

import psycopg
import structlog
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.errors import DuplicatePreparedStatement, ReadOnlySqlTransaction
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool, PoolTimeout

from signals.clients.postgres_faults import ADDRESS, explain
from signals.clients.tls import ca_file
from signals.errors import DependencyUnavailable, SettingsError
from signals.settings import PostgresSettings

Connection = psycopg.Connection[TupleRow]

log = structlog.get_logger(__name__)

CONNECT_TIMEOUT_S = 5  # guess: a server that needs longer is away

STATEMENT_TIMEOUT_MS = 30_000  # guess: an order above the slowest statement measured
REQUEST_TIMEOUT_MS = 5_000  # guess: who waits for an HTTP answer; few connections serve all of them
# Per transaction: poolers refuse `options`.
LIMIT_STATEMENTS: Final[LiteralString] = "SELECT set_config('statement_timeout', %s, true)"
USE_UTC: Final[LiteralString] = "SET timezone = 'UTC'"  # poolers follow this one from server to server

# Retry later: the connection or the server went away, or a concurrent writer won; a standby or a provider's
# full disk takes no writes until it is the primary or has room again.
TRANSIENT = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    PoolTimeout,
    DuplicatePreparedStatement,
    ReadOnlySqlTransaction,
)

# A server's host that is gone without a word is noticed after some 20 s instead of 15 minutes.
GONE_HOST: Final = {
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "2",
    "tcp_user_timeout": "20000",
}


def conninfo(settings: PostgresSettings) -> str:
    """Build libpq's connection string; the TLS mode is always explicit.

    Source: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS

    Raises:
        SettingsError: when `DATABASE_URL` is not one, or the CA cannot be read.
    """
    extra: dict[str, str] = {"sslmode": settings.sslmode}
    if settings.pg_ca_cert:
        extra["sslrootcert"] = ca_file("PG_CA_CERT", settings.pg_ca_cert)
    try:
        url = settings.database_url.get_secret_value()
        return make_conninfo(
            url,
            connect_timeout=str(CONNECT_TIMEOUT_S),
            application_name="signals",
            **{name: value for name, value in GONE_HOST.items() if name not in conninfo_to_dict(url)},
            **extra,
        )
    except psycopg.ProgrammingError:  # its text repeats the address, and with it the password
        raise SettingsError(f"DATABASE_URL: {ADDRESS}") from None


class _Conninfo:
    """The connection string of each new connection of a pool, by settings that may read otherwise each time.

    `failure` is why the last attempt to connect failed, None after a success: a pool's timeout does not say.
    """

    def __init__(self, read: Callable[[], PostgresSettings]) -> None:
        self.failure: psycopg.OperationalError | None = None
        self._read = read
        self._settings = read()
        self._text = conninfo(self._settings)

    def __call__(self) -> str:
        try:
            settings = self._read()
            if settings != self._settings:
                self._text, self._settings = conninfo(settings), settings
        except SettingsError as error:
            log.warning("new settings cannot be used", dependency="PostgreSQL", reason=str(error))
        return self._text


class _ReportingConnection(Connection):
    """Reports to the pool's `source` how each attempt to connect ended."""

    @classmethod
    def connect(cls, conninfo: str = "", *, source: Any = None, **options: Any) -> Self:
        assert isinstance(source, _Conninfo), "open_pool passes it"
        failure = None
        try:
            return super().connect(conninfo, **options)
        except psycopg.OperationalError as error:
            failure = error
            raise
        finally:
            source.failure = failure


@contextmanager
def open_pool(
    settings: PostgresSettings | Callable[[], PostgresSettings], *, size: int
) -> Iterator[ConnectionPool[Connection]]:
    """Open a pool of up to `size` connections, made on demand, all in UTC.

    With a function as `settings` each new connection is made as it says then: a password may be changed
    while the pool is open.

    Raises:
        SettingsError: as `conninfo` does.
    """
    source = _Conninfo(settings if callable(settings) else lambda: settings)
    connection_class: type[Connection] = _ReportingConnection
    with ConnectionPool(
        source,
        connection_class=connection_class,
        min_size=1,
        max_size=size,
        timeout=CONNECT_TIMEOUT_S,
        max_idle=60,
        kwargs={"source": source, **_options(settings() if callable(settings) else settings)},
        configure=_use_utc,
        check=_check_alive,
        open=True,
    ) as pool:
        yield pool


@contextmanager
def transaction(
    pool: ConnectionPool[Connection], *, timeout_ms: int = STATEMENT_TIMEOUT_MS
) -> Iterator[Connection]:
    """Run one transaction: commit at the end, roll back on any exception; `timeout_ms` is per statement.

    Raises:
        DependencyUnavailable: when the server cannot be reached or breaks off. The commit may then have
            happened or not; a careful caller repeats its work under a compare-and-set.
    """
    with _unavailable_when_down(pool), pool.connection() as connection:
        connection.execute(LIMIT_STATEMENTS, [str(timeout_ms)])
        yield connection


@contextmanager
def pipelined(
    pool: ConnectionPool[Connection], *, timeout_ms: int = STATEMENT_TIMEOUT_MS
) -> Iterator[Connection]:
    """Run one transaction whose statements share round trips: they are sent when an answer is fetched.

    The beginning goes with the first statements, the commit with the last ones. What was not fetched by the
    end may be fetched after it. A statement's error is raised at a later one; `rowcount` is not known before
    a fetch.

    Raises:
        DependencyUnavailable: as `transaction` does.
    """
    with _unavailable_when_down(pool), pool.connection() as connection:
        connection.autocommit = True  # psycopg awaits the answer of a BEGIN of its own
        try:
            with connection.pipeline():
                connection.execute("BEGIN")
                connection.execute(LIMIT_STATEMENTS, [str(timeout_ms)])
                yield connection
                connection.execute("COMMIT")
        finally:
            if not connection.closed:
                connection.rollback()  # nothing after a commit
                connection.autocommit = False


@contextmanager
def _unavailable_when_down(pool: ConnectionPool[Connection]) -> Iterator[None]:
    try:
        yield
    except TRANSIENT as error:
        cause = _failure_to_connect(pool) if isinstance(error, PoolTimeout) else None
        raise DependencyUnavailable("PostgreSQL", explain(cause or error, _conninfo_of(pool))) from error


def renew(pool: ConnectionPool[Connection]) -> None:
    """Replace all connections by new ones; those in use end with their transaction.

    Raises:
        DependencyUnavailable: when a new connection cannot be made; the old ones stay then.
    """
    text = _conninfo_of(pool)
    try:
        psycopg.connect(text).close()
    except psycopg.OperationalError as error:
        raise DependencyUnavailable("PostgreSQL", explain(error, text)) from error
    pool.drain()


def _conninfo_of(pool: ConnectionPool[Connection]) -> str:
    assert callable(pool.conninfo), "open_pool has made it"
    return str(pool.conninfo())


def _options(settings: PostgresSettings) -> dict[str, Any]:
    return {} if settings.pg_prepared_statements else {"prepare_threshold": None}


@contextmanager
def reading(
    pool: ConnectionPool[Connection], *, timeout_ms: int = STATEMENT_TIMEOUT_MS
) -> Iterator[Connection]:
    """Run what only reads: the time limit and the first query are one round trip.

    Queries that are sent before an answer is fetched share one as well. All of them up to the end are one
    transaction, as all messages before a Sync are; so neither BEGIN nor COMMIT is sent.

    Raises:
        DependencyUnavailable: as `transaction` does.
    """
    with _unavailable_when_down(pool), pool.connection() as connection:
        connection.autocommit = True
        try:
            with connection.pipeline():
                connection.execute(LIMIT_STATEMENTS, [str(timeout_ms)])
                yield connection
        finally:
            if not connection.closed:
                connection.autocommit = False


def _check_alive(connection: Connection) -> None:
    """Ask the server only when it has something to tell an idle connection: mostly that it is gone.

    Raises:
        OperationalError: it is; the pool connects anew.
    """
    readable, _, _ = select.select([connection.fileno()], [], [], 0)
    if readable:
        ConnectionPool.check_connection(connection)


def _use_utc(connection: Connection) -> None:
    connection.autocommit = True
    connection.execute(USE_UTC)
    connection.autocommit = False


def _failure_to_connect(pool: ConnectionPool[Connection]) -> psycopg.OperationalError | None:
    return pool.conninfo.failure if isinstance(pool.conninfo, _Conninfo) else None
