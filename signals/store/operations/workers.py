"""Heartbeats of the consumers: who runs, what it owns, how far it lags."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, LiteralString

from psycopg.rows import class_row

from signals.clients.postgres import Connection

RESTARTS_WITHIN: Final = timedelta(minutes=10)  # guess: a process that dies within its first minute shows up

ConsumerState = Literal["starting", "running", "backing-off"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """One consumer's report about itself.

    `kind` is the name of a `ConsumerKind`. `lag` counts records or jobs that wait, None while unknown.
    """

    name: str
    kind: str
    state: ConsumerState
    detail: str
    partitions: list[int]
    lag: int | None
    started_at: datetime
    last_poll_at: datetime | None
    last_batch_at: datetime | None
    handled: int
    pid: int
    node: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker(Heartbeat):
    """A heartbeat as stored; the database computes its age `age_s`.

    `restarts` counts the processes that took the place of another within `RESTARTS_WITHIN`.
    """

    heartbeat_at: datetime
    age_s: float
    restarts: int


# The instants of starts are kept, not their number: two clusters may report under one name for a while.
BEAT: LiteralString = """
INSERT INTO pipeline.workers AS known (name, kind, state, detail, partitions, lag, started_at, last_poll_at,
                              last_batch_at, handled, pid, node, heartbeat_at)
VALUES (%(name)s, %(kind)s, %(state)s, %(detail)s, %(partitions)s, %(lag)s, %(started_at)s, %(last_poll_at)s,
        %(last_batch_at)s, %(handled)s, %(pid)s, %(node)s, now())
ON CONFLICT (name) DO UPDATE SET
    kind = excluded.kind, state = excluded.state, detail = excluded.detail,
    partitions = excluded.partitions, lag = excluded.lag, started_at = excluded.started_at,
    last_poll_at = excluded.last_poll_at, last_batch_at = excluded.last_batch_at,
    handled = excluded.handled, pid = excluded.pid, node = excluded.node, heartbeat_at = now(),
    starts = CASE WHEN excluded.started_at = known.started_at THEN known.starts ELSE ARRAY(
        SELECT DISTINCT at FROM unnest(known.starts || excluded.started_at) AS at
        WHERE at > now() - %(restarts_within)s ORDER BY at DESC LIMIT 100) END
"""


def beat(connection: Connection, heartbeat: Heartbeat) -> None:
    """Write the heartbeat of one consumer over its previous one."""
    connection.execute(BEAT, asdict(heartbeat) | {"restarts_within": RESTARTS_WITHIN})


ALL: LiteralString = """
SELECT name, kind, state, detail, partitions, lag, started_at, last_poll_at, last_batch_at, handled, pid,
       node, heartbeat_at, extract(epoch FROM now() - heartbeat_at)::float8 AS age_s,
       (SELECT count(*) FROM unnest(starts) AS at WHERE at > now() - %(restarts_within)s)::int AS restarts
FROM pipeline.workers
ORDER BY kind, name
"""


def list_all(connection: Connection) -> Sequence[Worker]:
    """Return every consumer that ever reported, by kind and name."""
    with connection.cursor(row_factory=class_row(Worker)) as cursor:
        return cursor.execute(ALL, {"restarts_within": RESTARTS_WITHIN}).fetchall()


FORGET: LiteralString = "DELETE FROM pipeline.workers WHERE NOT name = ANY(%(names)s)"


def forget_others(connection: Connection, names: Sequence[str]) -> int:
    """Drop the rows of consumers that are no longer configured; return how many."""
    return connection.execute(FORGET, {"names": list(names)}).rowcount
