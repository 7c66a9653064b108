"""The loss ledger's rows: added to by every stage, read by the audit."""

from collections.abc import Mapping
from typing import LiteralString

import orjson

from signals.clients.postgres import Connection
from signals.domain.ledger import Account

# Rows arrive sorted by the whole conflict key: concurrent writers then lock in one order.
ADD: LiteralString = """
INSERT INTO pipeline.ledger (project_id, minute_at, stage, outcome, partition, events)
SELECT r.project_id, to_timestamp(r.minute * 60), r.stage, r.outcome, r.partition, r.events
FROM json_to_recordset(%(rows)s::json) AS r(project_id text, minute bigint, stage text, outcome text,
     partition int, events bigint)
ON CONFLICT (project_id, minute_at, stage, outcome, partition)
DO UPDATE SET events = ledger.events + excluded.events
"""


def add(connection: Connection, entries: Mapping[Account, int]) -> None:
    """Add events to their accounts, in one statement; part of the caller's transaction."""
    if not entries:
        return
    rows = [
        {
            "project_id": account.project_id,
            "minute": account.minute,
            "stage": account.stage,
            "outcome": account.outcome,
            "partition": account.partition,
            "events": entries[account],
        }
        for account in sorted(entries)
    ]
    connection.execute(ADD, {"rows": orjson.dumps(rows).decode()})
