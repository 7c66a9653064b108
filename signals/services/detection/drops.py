"""Judges signups by the clock: a total outage sends no event that could be judged."""

from datetime import UTC, datetime
from typing import Final
from uuid import UUID, uuid4

from signals.clients.postgres import Connection
from signals.domain.detection.buckets import BucketRange
from signals.domain.detection.builtin_rules import SIGNUP_DROP
from signals.domain.detection.tally import Judged
from signals.services.detection.incident_writes import write
from signals.store.detection import buckets, signup_series

GONE_MINUTES: Final = 7 * 24 * 60  # guess: a series without signups for a week has ended


def judge_drops(connection: Connection, partition: int, minute: int) -> list[UUID]:
    """Judge the series of a partition at a whole minute, of which everything has been counted.

    Returns the ids of new summary jobs. Part of the caller's transaction.
    """
    length = SIGNUP_DROP.history_minutes
    watched = signup_series.watched(
        connection, partition=partition, since_minute=minute - length, gone_minute=minute - GONE_MINUTES
    )
    reads = [BucketRange(series, minute - length + 1, minute + 1, (minute,)) for series in watched]
    if not reads:
        return []
    now = datetime.now(UTC)
    judged = [
        Judged(series=series, evaluations=[SIGNUP_DROP.evaluate(counts, minute)], seen_at={minute: now})
        for series, counts in zip(watched, buckets.read(connection, reads), strict=True)
    ]
    return write(connection, judged, {}, uuid4)
