"""Token buckets that all processes share."""

from typing import LiteralString

from signals.clients.postgres import Connection
from signals.domain.access.rate_limit import TokenBucket

# clock_timestamp(), not now(): it is read after the row lock was waited for, so it never runs backwards.
TAKE: LiteralString = """
INSERT INTO pipeline.rate_limits AS bucket (name, tokens, updated_at)
VALUES (%(name)s, %(burst)s - %(tokens)s, clock_timestamp())
ON CONFLICT (name) DO UPDATE
SET tokens = least(%(burst)s, bucket.tokens + %(refill_per_s)s
                   * extract(epoch FROM clock_timestamp() - bucket.updated_at)::float8) - %(tokens)s,
    updated_at = clock_timestamp()
WHERE least(%(burst)s, bucket.tokens + %(refill_per_s)s
            * extract(epoch FROM clock_timestamp() - bucket.updated_at)::float8) >= %(opens_at)s
"""


def take(
    connection: Connection, name: str, bucket: TokenBucket, *, tokens: float = 1, opens_at: float = 1
) -> bool:
    """Take tokens in the caller's transaction; False when the bucket holds fewer than `opens_at`.

    More tokens than it holds may be taken: the bucket is then in debt. Holds its row until the
    transaction ends, so keep that short.
    """
    values = {
        "name": name,
        "burst": float(bucket.burst),
        "refill_per_s": float(bucket.refill_per_s),
        "tokens": float(tokens),
        "opens_at": float(opens_at),
    }
    return connection.execute(TAKE, values).rowcount == 1


LEVEL: LiteralString = """
SELECT least(%(burst)s::float8, tokens + %(refill_per_s)s::float8
             * extract(epoch FROM clock_timestamp() - updated_at)::float8)
FROM pipeline.rate_limits WHERE name = %(name)s
"""


def level(connection: Connection, name: str, bucket: TokenBucket) -> float:
    """Return how many tokens the bucket holds, negative in debt."""
    values = {"name": name, "burst": float(bucket.burst), "refill_per_s": float(bucket.refill_per_s)}
    row = connection.execute(LEVEL, values).fetchone()
    return bucket.burst if row is None else float(row[0])
