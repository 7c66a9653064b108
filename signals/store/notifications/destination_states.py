"""The state of destinations: written when attempts succeed or fail.

The caller locks destinations first, and messages after them, as the planner does.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import LiteralString
from uuid import UUID

import orjson

from signals.clients.postgres import Connection
from signals.domain.notifications.delivery import (
    DISABLED_AFTER,
    DISABLED_AFTER_REFUSALS,
    IN_A_ROW,
    DeliveryResult,
)

# Those of which something must be written: while all goes well that is the instant, once a second.
LOCK: LiteralString = """
SELECT id FROM pipeline.destinations
WHERE id = ANY(%(failed)s) OR (id = ANY(%(told)s) AND (
      state = 'failing' OR refused_in_row > 0 OR last_error IS NOT NULL OR failing_since IS NOT NULL
      OR last_told_at IS NULL OR last_told_at < now() - interval '1 second'))
ORDER BY id FOR NO KEY UPDATE
"""


def lock(connection: Connection, told: Collection[UUID], failed: Collection[UUID]) -> None:
    """Lock destinations of which `note_success` or `note_failure` must write something."""
    connection.execute(LOCK, {"told": list(told), "failed": list(failed)})


SUCCEEDED: LiteralString = """
UPDATE pipeline.destinations
SET state = CASE WHEN state = 'failing' THEN 'active' ELSE state END, failing_since = NULL,
    refused_in_row = 0, last_told_at = now(), last_error = NULL
WHERE id = ANY(%(destination_ids)s)
  AND (state = 'failing' OR refused_in_row > 0 OR last_error IS NOT NULL OR failing_since IS NOT NULL
       OR last_told_at IS NULL OR last_told_at < now() - interval '1 second')
"""
FAILED: LiteralString = """
WITH r AS (
    SELECT * FROM json_to_recordset(%(rows)s::json) AS r(id uuid, refused int, gone boolean, error text)
), was AS (
    SELECT id, state AS before,
           CASE WHEN last_failed_at > now() - %(in_a_row)s THEN coalesce(failing_since, now()) ELSE now()
           END AS since
    FROM pipeline.destinations WHERE id IN (SELECT id FROM r)
)
UPDATE pipeline.destinations d
SET refused_in_row = d.refused_in_row + r.refused,
    failing_since = was.since, last_failed_at = now(), last_error = r.error,
    state = CASE
        WHEN d.state = 'disabled' OR r.gone OR d.refused_in_row + r.refused >= %(most_refusals)s
             OR was.since < now() - %(longest)s THEN 'disabled'
        ELSE 'failing' END
FROM r JOIN was USING (id)
WHERE d.id = r.id
RETURNING d.id, d.state = 'disabled' AND was.before <> 'disabled'
"""


def note_success(connection: Connection, destination_ids: Collection[UUID]) -> None:
    """Write that destinations work, at most once a second."""
    connection.execute(SUCCEEDED, {"destination_ids": list(destination_ids)})


def note_failure(
    connection: Connection, failed: Mapping[UUID, Sequence[DeliveryResult]]
) -> Callable[[], set[UUID]]:
    """Write that destinations fail; the call returns those that this disables."""
    rows = [
        {
            "id": destination_id,
            "refused": sum(one.state == "refused" for one in results),
            "gone": any(one.is_gone for one in results),
            "error": results[-1].error,
        }
        for destination_id, results in failed.items()
    ]
    values = {
        "rows": orjson.dumps(rows).decode(),
        "most_refusals": DISABLED_AFTER_REFUSALS,
        "longest": DISABLED_AFTER,
        "in_a_row": IN_A_ROW,
    }
    found = connection.execute(FAILED, values)
    return lambda: {destination_id for destination_id, is_disabled in found if is_disabled}
