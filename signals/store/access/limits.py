"""Limits as all processes share them: token buckets, the limits of single keys, and each day's usage.

A token bucket belongs to a name: `key:ID` for the rate of an API key, one for the model's requests.
"""

from datetime import date
from typing import LiteralString
from uuid import UUID

from signals.clients.postgres import Connection
from signals.domain.access.limits import TokenBucket

# clock_timestamp(), not now(): it is read after the row lock was waited for, so it never runs backwards.
RESERVE_TOKENS: LiteralString = """
INSERT INTO pipeline.rate_limits AS bucket (name, tokens, updated_at)
VALUES (%(name)s, %(burst)s - %(tokens)s, clock_timestamp())
ON CONFLICT (name) DO UPDATE
SET tokens = least(%(burst)s, bucket.tokens + %(refill_per_s)s
                   * extract(epoch FROM clock_timestamp() - bucket.updated_at)::float8) - %(tokens)s,
    updated_at = clock_timestamp()
WHERE least(%(burst)s, bucket.tokens + %(refill_per_s)s
            * extract(epoch FROM clock_timestamp() - bucket.updated_at)::float8) >= %(opens_at)s
"""


def reserve_tokens(
    connection: Connection, name: str, bucket: TokenBucket, *, tokens: float = 1, opens_at: float = 1
) -> bool:
    """Reserve tokens in the caller's transaction; False when the bucket holds fewer than `opens_at`.

    More tokens than it holds may be reserved: the bucket is then in debt. Locks its row until the
    transaction ends, so keep that short.
    """
    values = {
        "name": name,
        "burst": float(bucket.burst),
        "refill_per_s": float(bucket.refill_per_s),
        "tokens": float(tokens),
        "opens_at": float(opens_at),
    }
    return connection.execute(RESERVE_TOKENS, values).rowcount == 1


AVAILABLE_TOKENS: LiteralString = """
SELECT least(%(burst)s::float8, tokens + %(refill_per_s)s::float8
             * extract(epoch FROM clock_timestamp() - updated_at)::float8)
FROM pipeline.rate_limits WHERE name = %(name)s
"""


def available_tokens(connection: Connection, name: str, bucket: TokenBucket) -> float:
    """Return how many tokens the bucket holds, negative in debt."""
    values = {"name": name, "burst": float(bucket.burst), "refill_per_s": float(bucket.refill_per_s)}
    row = connection.execute(AVAILABLE_TOKENS, values).fetchone()
    return bucket.burst if row is None else float(row[0])


SET_LIMITS: LiteralString = """
INSERT INTO pipeline.key_limits (key_id, events_per_second, events_per_day)
SELECT id, %(events_per_second)s, %(events_per_day)s FROM project_api_keys WHERE id = %(key_id)s
ON CONFLICT (key_id) DO UPDATE
SET events_per_second = excluded.events_per_second, events_per_day = excluded.events_per_day
"""


def set_limits(
    connection: Connection, key_id: UUID, *, events_per_second: int | None, events_per_day: int | None
) -> bool:
    """Set both limits of a key (None: the environment's, 0: none); False when there is no such key."""
    parameters = {
        "key_id": key_id,
        "events_per_second": events_per_second,
        "events_per_day": events_per_day,
    }
    return connection.execute(SET_LIMITS, parameters).rowcount == 1


COPY_LIMITS: LiteralString = """
INSERT INTO pipeline.key_limits (key_id, events_per_second, events_per_day)
SELECT %(to)s, events_per_second, events_per_day FROM pipeline.key_limits WHERE key_id = %(of)s
"""


def copy_limits(connection: Connection, *, of: UUID, to: UUID) -> None:
    """Give a new key the limits of another, if that has some of its own."""
    connection.execute(COPY_LIMITS, {"of": of, "to": to})


LOCK_USAGE: LiteralString = """
INSERT INTO pipeline.key_usage AS usage (key_id, day, events)
VALUES (%(key_id)s, %(day)s, 0)
ON CONFLICT (key_id, day) DO UPDATE SET events = usage.events
RETURNING events
"""


def lock_usage(connection: Connection, key_id: UUID, day: date) -> int:
    """Return the events used or leased of a day's quota; no other transaction changes it before this ends."""
    (events,) = connection.execute(LOCK_USAGE, {"key_id": key_id, "day": day}).fetchone() or (0,)
    return int(events)


ADD_USAGE: LiteralString = """
INSERT INTO pipeline.key_usage AS usage (key_id, day, events)
VALUES (%(key_id)s, %(day)s, %(events)s)
ON CONFLICT (key_id, day) DO UPDATE SET events = usage.events + excluded.events
"""


def add_usage(connection: Connection, key_id: UUID, day: date, events: int) -> None:
    """Count events as used, or, if negative, refund them."""
    connection.execute(ADD_USAGE, {"key_id": key_id, "day": day, "events": events})
