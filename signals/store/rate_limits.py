"""Token buckets that all workers share."""

from typing import LiteralString

from signals.clients.postgres import Connection
from signals.domain.rate_limit import RateLimit

# clock_timestamp(), not now(): it is read after the row lock was waited for, so it never runs backwards.
TAKE: LiteralString = """
INSERT INTO pipeline.rate_limits AS bucket (name, tokens, updated_at)
VALUES (%(name)s, %(burst)s - 1, clock_timestamp())
ON CONFLICT (name) DO UPDATE
SET tokens = least(%(burst)s, bucket.tokens + %(refill_per_s)s
                   * extract(epoch FROM clock_timestamp() - bucket.updated_at)::float8) - 1,
    updated_at = clock_timestamp()
WHERE least(%(burst)s, bucket.tokens + %(refill_per_s)s
            * extract(epoch FROM clock_timestamp() - bucket.updated_at)::float8) >= 1
"""


def take(connection: Connection, name: str, limit: RateLimit) -> bool:
    """Take one token in the caller's transaction; False when the bucket is empty.

    Holds the bucket's row until the transaction ends, so keep that short.
    """
    values = {"name": name, "burst": float(limit.burst), "refill_per_s": limit.refill_per_s}
    return connection.execute(TAKE, values).rowcount == 1
