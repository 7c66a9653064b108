"""Facts that the database gives about itself and our user."""

from dataclasses import dataclass
from typing import LiteralString

from psycopg.rows import class_row

from signals.clients.postgres import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """`version` as PostgreSQL counts (180004 is 18.4); whether we may create schemas."""

    version: int
    may_create: bool


FACTS: LiteralString = """
SELECT current_setting('server_version_num')::int AS version,
       has_database_privilege(current_database(), 'CREATE') AS may_create
"""


def server_facts(connection: Connection) -> ServerFacts:
    """Return the facts."""
    with connection.cursor(row_factory=class_row(ServerFacts)) as cursor:
        row = cursor.execute(FACTS).fetchone()
    assert row is not None
    return row
