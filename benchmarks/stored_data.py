"""Data for readers: incidents with their details and a large index, written in bulk."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.client import HTTPConnection
from itertools import islice
from threading import Semaphore
from typing import Final, LiteralString
from urllib.parse import urlsplit
from uuid import UUID

import orjson
import psycopg
from opensearchpy import OpenSearch

from benchmarks.events import kinds, records
from signals.clients.opensearch import EVENTS_INDEX
from signals.clients.opensearch.connection import open_client
from signals.clients.opensearch.index import ensure_index
from signals.clients.postgres import conninfo
from signals.settings import OpenSearchSettings, PostgresSettings

PROJECT: Final = "proj_00"  # of benchmarks.events; it has a twelfth of the events
BULK: Final = 2_500
WRITERS: Final = 2  # as many as there are cores
LOAD_TIMEOUT_S: Final = 120.0
LOAD_PAUSE_S: Final = 0.2

# One incident a minute into the past, each of a fingerprint of its own, one in ten still open.
INCIDENTS: LiteralString = """
INSERT INTO incidents (id, org_id, project_id, environment, fingerprint, status, severity, title, opened_at,
                       last_seen_at, resolved_at)
SELECT gen_random_uuid(), 'org_bench', %(project)s, 'prod', 'UPSTREAM_TIMEOUT_' || n || '|/checkout|prod',
       CASE WHEN n %% 10 = 0 THEN 'open' ELSE 'resolved' END, 'error',
       'UPSTREAM_TIMEOUT_' || n || ' on /checkout in prod: 120 errors in 5 minutes',
       date_trunc('minute', now()) - n * interval '1 minute',
       date_trunc('minute', now()) - n * interval '1 minute' + interval '10 minutes',
       CASE WHEN n %% 10 <> 0 THEN now() END
FROM generate_series(1, %(incidents)s) AS n
"""
# The details of each: two evaluations, a finished job, its summary, 20 events, the minutes of the chart.
AROUND: tuple[LiteralString, ...] = (
    """
INSERT INTO pipeline.incident_evaluations (incident_id, moment, rule, minute_at, count, baseline, threshold,
                                           window_minutes)
SELECT id, moment, 'error-spike', opened_at, 120, 5, 30, 5
FROM incidents CROSS JOIN (VALUES ('opened'), ('latest')) AS both_(moment)
""",
    """
INSERT INTO ai_jobs (id, incident_id, job_type, status, attempt_count, max_attempts, run_after, created_at,
                     updated_at)
SELECT gen_random_uuid(), id, 'incident_summary', 'succeeded', 1, 5, opened_at, opened_at, opened_at
FROM incidents
""",
    """
INSERT INTO ai_outputs (id, incident_id, output_type, model, content_json, created_at)
SELECT gen_random_uuid(), id, 'summary', 'bench', json_build_object(
           'title', title, 'impact', repeat('Customers cannot check out. ', 8),
           'suspected_causes', json_build_array(repeat('The upstream does not answer. ', 4)),
           'next_steps', json_build_array('Look at the upstream.', 'Roll back the release.')), opened_at
FROM incidents
""",
    """
INSERT INTO incident_events (incident_id, event_id, occurred_at, event_type, severity, attributes_json)
SELECT id, gen_random_uuid(), opened_at - n * interval '1 second', 'error', 'error',
       '{"route": "/checkout", "method": "POST", "status_code": 503, "release": "2026.2.14"}'
FROM incidents CROSS JOIN generate_series(1, 20) AS n
""",
    """
INSERT INTO metrics_buckets (org_id, project_id, environment, metric_name, fingerprint, bucket_start,
                             bucket_seconds, value, updated_at)
SELECT org_id, project_id, environment, 'error_count', fingerprint, opened_at - n * interval '1 minute', 60,
       24, now()
FROM incidents CROSS JOIN generate_series(0, 29) AS n
""",
)
NEWEST: LiteralString = "SELECT id FROM incidents ORDER BY opened_at DESC LIMIT %s"


def write_incidents(database: PostgresSettings, incidents: int) -> None:
    """Write `incidents` incidents with the details of their pages."""
    with psycopg.connect(conninfo(database), autocommit=True) as connection:
        connection.execute(INCIDENTS, {"project": PROJECT, "incidents": incidents})
        for statement in AROUND:
            connection.execute(statement)
        connection.execute("VACUUM ANALYZE")


def newest_incidents(database: PostgresSettings, count: int) -> list[UUID]:
    """Return the ids of the newest incidents."""
    with psycopg.connect(conninfo(database), autocommit=True) as connection:
        return [incident_id for (incident_id,) in connection.execute(NEWEST, [count])]


def load_events(settings: OpenSearchSettings, count: int, *, span: timedelta | None = None) -> None:
    """Index `count` events in bulk, then refresh and wait until merges have ended.

    With a `span` they are spread over the time before now, else they are of a past half hour.
    """
    if span is None:
        load_documents(settings, _documents(records(kinds(), count)), count)
    else:
        per_s = count / span.total_seconds()
        spread = records(kinds(), count, start=datetime.now(UTC) - span, per_s=per_s)
        load_documents(settings, _documents(spread), count)


def load_documents(settings: OpenSearchSettings, documents: Iterator[bytes], count: int) -> None:
    """Index `count` lines of bulks, refresh, and wait until merges have ended."""
    with open_client(settings) as client:
        ensure_index(client)
        client.indices.put_settings(
            index=EVENTS_INDEX,
            body={"index": {"refresh_interval": "-1", "translog": {"durability": "async"}}},
        )
        waiting = Semaphore(2 * WRITERS)
        with ThreadPoolExecutor(WRITERS) as writers:
            posted = []
            while chunk := list(islice(documents, BULK)):
                waiting.acquire()  # not all bodies in memory at once
                posted.append(writers.submit(_post, settings.opensearch_url, b"".join(chunk)))
                posted[-1].add_done_callback(lambda _: waiting.release())
            for one in posted:
                one.result()
        client.indices.put_settings(index=EVENTS_INDEX, body={"index": {"refresh_interval": "1s"}})
        client.indices.refresh(index=EVENTS_INDEX)
        _wait_until_merged(client)
        found = client.count(index=EVENTS_INDEX)["count"]
        assert found == count, f"{found} documents of {count}"


def _wait_until_merged(client: OpenSearch) -> None:
    deadline = time.monotonic() + LOAD_TIMEOUT_S
    while client.indices.stats(index=EVENTS_INDEX, metric="merge")["_all"]["primaries"]["merges"]["current"]:
        assert time.monotonic() < deadline, "segments are still being merged after the deadline"
        time.sleep(LOAD_PAUSE_S)
    client.indices.refresh(index=EVENTS_INDEX)  # makes the merged segments visible to searches


def _documents(events: Iterator[tuple[bytes, bytes]]) -> Iterator[bytes]:
    for number, (_, value) in enumerate(events):
        source = b'%s,"origin":"0:%d"}' % (value[:-1], number)
        yield b'{"create":{}}\n%s\n' % source


def _post(url: str, body: bytes) -> None:
    """Post a bulk, with retries while the server's small heap is full."""
    address, deadline = urlsplit(url), time.monotonic() + LOAD_TIMEOUT_S
    with closing(HTTPConnection(address.hostname or "", address.port, timeout=LOAD_TIMEOUT_S)) as connection:
        headers = {"Content-Type": "application/x-ndjson"}
        while True:
            connection.request("POST", f"/{EVENTS_INDEX}/_bulk?filter_path=errors", body, headers)
            response = connection.getresponse()
            answer = response.read()
            if response.status != HTTPStatus.TOO_MANY_REQUESTS:
                assert orjson.loads(answer) == {"errors": False}, answer
                return
            assert time.monotonic() < deadline, "OpenSearch had no memory for a bulk until the deadline"
            time.sleep(LOAD_PAUSE_S)
