"""The requirements read literally: each event upserts its bucket and reads 65 minutes.

One transaction an event, so that a crash loses none; the offset is committed to Kafka after it, without
waiting, which is the quickest way that still commits every event.
"""

import os

import psycopg
from confluent_kafka import Consumer

from benchmarks.peers.counting import Bucket, bucket_of, connect
from benchmarks.peers.marks import FirstRecord

UPSERT = """
INSERT INTO metrics_buckets (org_id, project_id, environment, metric_name, fingerprint,
                             bucket_start, bucket_seconds, value, updated_at)
VALUES (%s, %s, %s, %s, %s, %s, 60, 1, now())
ON CONFLICT (project_id, environment, metric_name, fingerprint, bucket_start, bucket_seconds)
DO UPDATE SET value = metrics_buckets.value + 1, updated_at = excluded.updated_at
"""
WINDOWS = """
SELECT coalesce(sum(value) FILTER (WHERE bucket_start > %(at)s::timestamptz - interval '5 minutes'), 0),
       coalesce(sum(value) FILTER (WHERE bucket_start <= %(at)s::timestamptz - interval '5 minutes'), 0)
FROM metrics_buckets
WHERE project_id = %(project)s AND environment = %(environment)s AND metric_name = %(metric)s
  AND fingerprint = %(fingerprint)s AND bucket_seconds = 60
  AND bucket_start > %(at)s::timestamptz - interval '65 minutes' AND bucket_start <= %(at)s
"""


def fires(connection: psycopg.Connection, bucket: Bucket) -> bool:
    """Count one event and evaluate Rule A; opening an incident is left out."""
    org, project, environment, metric, fingerprint, minute = bucket
    at = f"{minute}:00Z"
    connection.execute(UPSERT, [org, project, environment, metric, fingerprint, at])
    parameters = {"at": at, "project": project, "environment": environment}
    row = connection.execute(WINDOWS, {**parameters, "metric": metric, "fingerprint": fingerprint}).fetchone()
    connection.commit()
    assert row is not None
    return bool(row[0] >= 30 and row[0] >= 3 * max(1, row[1] / 12))


def main() -> None:
    """Count until a signal."""
    consumer = Consumer(
        {
            "bootstrap.servers": os.environ["KAFKA_BROKERS"],
            "group.id": os.environ["BENCH_GROUP"],
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([os.environ["BENCH_TOPIC"]])
    first, connection = FirstRecord(), connect()
    while True:
        message = consumer.poll(1.0)
        if message is None or message.error():
            continue
        first()
        fires(connection, bucket_of(message.value() or b""))
        consumer.commit(message=message, asynchronous=True)


if __name__ == "__main__":
    main()
