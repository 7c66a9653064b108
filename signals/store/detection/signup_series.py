"""Signup series and their partitions: the input of the drop tick."""

from collections.abc import Mapping, Sequence
from typing import Final, LiteralString

import orjson

from shared_types import Environment, EventType, Fingerprint
from shared_types.fingerprints import METRICS
from signals.clients.postgres import Connection
from signals.domain.detection.buckets import Series

FINGERPRINTS: Final[Mapping[str, str]] = {
    environment.value: Fingerprint(event_type=EventType.SIGNUP, environment=environment).text
    for environment in Environment
}
"""The signup fingerprint of each environment."""
FINGERPRINTS_JSON: Final = orjson.dumps(FINGERPRINTS).decode()

NOTE: LiteralString = """
INSERT INTO pipeline.signup_series (project_id, environment, org_id, partition, last_bucket_at)
SELECT r.project_id, r.environment, r.org_id, r.partition, to_timestamp(r.minute * 60)
FROM json_to_recordset(%(rows)s::json) AS r(project_id text, environment text, org_id text,
     partition int, minute bigint)
ON CONFLICT (project_id, environment) DO UPDATE SET
    partition = excluded.partition,
    last_bucket_at = greatest(signup_series.last_bucket_at, excluded.last_bucket_at)
WHERE signup_series.partition <> excluded.partition
   OR signup_series.last_bucket_at < excluded.last_bucket_at
"""


def note(connection: Connection, newest: Mapping[Series, tuple[int, int]]) -> None:
    """Remember, for each signup series, the (partition, minute since the epoch) of its newest bucket."""
    rows = [
        {
            "project_id": series.project_id,
            "environment": series.environment,
            "org_id": series.org_id,
            "partition": partition,
            "minute": minute,
        }
        for series, (partition, minute) in sorted(newest.items())
    ]
    connection.execute(NOTE, {"rows": orjson.dumps(rows).decode()})


# Within the baseline's reach, or with an incident that must be kept fresh. OFFSET 0 keeps the probe of
# incidents_one_open a probe by key: without statistics the planner would hash the whole table.
WATCHED: LiteralString = """
SELECT s.project_id, s.environment, s.org_id
FROM pipeline.signup_series s
WHERE s.partition = %(partition)s
  AND s.last_bucket_at >= to_timestamp(%(gone_minute)s * 60)
  AND (s.last_bucket_at >= to_timestamp(%(since_minute)s * 60)
       OR EXISTS (SELECT FROM incidents i
                  WHERE i.project_id = s.project_id AND i.environment = s.environment
                    AND i.fingerprint = %(fingerprints)s::json ->> s.environment
                    AND i.status <> 'resolved'
                  OFFSET 0))
ORDER BY s.project_id, s.environment
"""


def watched(
    connection: Connection, *, partition: int, since_minute: int, gone_minute: int
) -> Sequence[Series]:
    """Return the signup series of a partition that may have dropped: recent ones, and open incidents.

    A series without a signup since `gone_minute` has ended, or was a replay of old events.
    """
    parameters = {
        "partition": partition,
        "since_minute": since_minute,
        "gone_minute": gone_minute,
        "fingerprints": FINGERPRINTS_JSON,
    }
    return [
        Series(project_id, environment, METRICS[EventType.SIGNUP], FINGERPRINTS[environment], org_id)
        for project_id, environment, org_id in connection.execute(WATCHED, parameters)
    ]
