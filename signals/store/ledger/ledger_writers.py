"""Which entries of a writer are in the loss ledger: what makes repeating one harmless."""

from typing import LiteralString
from uuid import UUID

from signals.clients.postgres import Connection

CLAIM: LiteralString = """
INSERT INTO pipeline.ledger_writers AS w (writer, entry)
VALUES (%(writer)s, %(entry)s)
ON CONFLICT (writer) DO UPDATE SET entry = excluded.entry, entered_at = now()
WHERE w.entry = excluded.entry - 1
"""


def claim(connection: Connection, writer: UUID, entry: int) -> bool:
    """Claim the entry with this number (counted from 1); False when it has been made already.

    The entry itself belongs in the same transaction.
    """
    return connection.execute(CLAIM, {"writer": writer, "entry": entry}).rowcount == 1


FORGET: LiteralString = "DELETE FROM pipeline.ledger_writers WHERE entered_at < now() - interval '1 day'"


def forget_silent(connection: Connection) -> int:
    """Delete writers that have been silent for a day; return how many."""
    return connection.execute(FORGET).rowcount
