"""How much history a series, and its project, had when a rule fired: asked only when an incident opens."""

from collections.abc import Mapping
from typing import LiteralString

import orjson

from signals.clients.postgres import Connection
from signals.domain.detection.buckets import Series
from signals.domain.detection.builtin_rules import RULES, Evaluation
from signals.domain.incidents.lifecycle import KnownHistory

# One entry of the index a series. Only for a young series is the project looked through, as far as the first
# older bucket; OFFSET 0 keeps that a look by key.
READ: LiteralString = """
SELECT r.ordinal, floor(extract(epoch FROM first.bucket_start) / 60)::bigint,
       NOT EXISTS (SELECT FROM metrics_buckets o
                   WHERE o.project_id = r.project_id AND o.bucket_start <= to_timestamp(r.whole_since * 60)
                   OFFSET 0)
FROM json_to_recordset(%(rows)s::json) AS r(ordinal int, project_id text, environment text,
     metric_name text, fingerprint text, whole_since bigint)
CROSS JOIN LATERAL (
    SELECT b.bucket_start FROM metrics_buckets b
    WHERE b.project_id = r.project_id AND b.environment = r.environment
      AND b.metric_name = r.metric_name AND b.fingerprint = r.fingerprint
    ORDER BY b.bucket_start LIMIT 1
) AS first
WHERE first.bucket_start > to_timestamp(r.whole_since * 60)
"""


def read(connection: Connection, firings: Mapping[Series, Evaluation]) -> Mapping[Series, KnownHistory]:
    """Return the history of each series that is younger than what its rule reads at the firing."""
    series = list(firings)
    rows = [
        {
            "ordinal": ordinal,
            "project_id": one.project_id,
            "environment": one.environment,
            "metric_name": one.metric_name,
            "fingerprint": one.fingerprint,
            "whole_since": firings[one].minute - RULES[firings[one].rule].history_minutes,
        }
        for ordinal, one in enumerate(series)
    ]
    found = connection.execute(READ, {"rows": orjson.dumps(rows).decode()})
    return {
        series[ordinal]: KnownHistory(
            known_from=first + RULES[firings[series[ordinal]].rule].history_minutes, is_learning=is_learning
        )
        for ordinal, first, is_learning in found
    }
