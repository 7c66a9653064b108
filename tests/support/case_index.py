"""Case files put where the product has them: documents, counts, deploys, and the incident that opened."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString
from uuid import UUID, uuid4

from psycopg_pool import ConnectionPool

from shared_types import Envelope, MetricName, Tenancy, canonicalize
from signals.cases.answering import first_firing, observed, series_of
from signals.clients.kafka import RAW_TOPIC
from signals.clients.kafka.consumer import Record
from signals.clients.opensearch import EVENTS_INDEX
from signals.clients.opensearch.connection import Client
from signals.clients.opensearch.index import BulkVerdict, bulk_create
from signals.clients.postgres import Connection, transaction
from signals.domain.deploys.deploy import deploy_of
from signals.domain.detection.buckets import Series, instant_of
from signals.domain.findings.labels import LabelPolicy
from signals.services.indexing.documents import EventDocument
from signals.services.indexing.labelling import Labeller
from signals.store.deploys import deploys
from signals.store.detection import buckets
from signals.store.summary import ai_jobs
from tests.support.events import TENANCY

Pool = ConnectionPool[Connection]
BULK = 1_000  # documents: far below the client's time limit on a machine ten times slower
LATER_MINUTES = 2  # the incident is summarized so long after its rule fired

INCIDENT: LiteralString = """
INSERT INTO incidents (id, org_id, project_id, environment, fingerprint, status, severity, title, opened_at,
                       last_seen_at)
VALUES (%(id)s, %(org_id)s, %(project_id)s, 'prod', %(fingerprint)s, 'open', 'error', 'old title', %(at)s,
        %(seen)s)
"""
EVALUATION: LiteralString = """
INSERT INTO pipeline.incident_evaluations (incident_id, moment, rule, minute_at, count, baseline, threshold,
                                           window_minutes)
VALUES (%(id)s, 'opened', %(rule)s, %(at)s, 60, 2, 30, %(window)s)
"""
EVENT: LiteralString = """
INSERT INTO incident_events (incident_id, event_id, occurred_at, event_type, severity, attributes_json)
VALUES (%(id)s, %(event_id)s, %(at)s, %(kind)s, 'error', %(attributes)s::jsonb)
"""


def index_case(
    client: Client,
    events: Iterable[Mapping[str, Any]],
    tenancy: Tenancy = TENANCY,
    *,
    is_refreshed: bool = True,
) -> int:
    """Index a case's events with labels and templates, searchable at once unless told; return how many."""
    documents = case_documents(events, tenancy)
    for start in range(0, len(documents), BULK):
        bulk = documents[start : start + BULK]
        results = bulk_create(client, [(document.document_id, document.source) for document in bulk])
        assert {result.verdict for result in results} == {BulkVerdict.CREATED}
    if is_refreshed:
        client.indices.refresh(index=EVENTS_INDEX)
    return len(documents)


def case_documents(
    events: Iterable[Mapping[str, Any]], tenancy: Tenancy = TENANCY, *, is_labelled: bool = True
) -> list[EventDocument]:
    """Return a case's events as the indexer writes them, with labels and templates or without."""
    labeller = Labeller(LabelPolicy())
    documents = []
    for offset, one in enumerate(_envelopes(events, tenancy)):
        record = Record(RAW_TOPIC, 0, offset, 0, None, one.to_json(), None)
        added = labeller.members(one.project_id, record.value) if is_labelled else b""
        documents.append(EventDocument.of(str(one.event_id), record, (one.project_id, 0, 0), added))
    return documents


def store_case(
    pool: Pool, events: Iterable[Mapping[str, Any]], truth: Mapping[str, Any], tenancy: Tenancy = TENANCY
) -> UUID:
    """Store what the engine would have stored when the rule fired; return the incident's id."""
    fingerprint, events = truth["fingerprint"], list(events)
    series = series_of(fingerprint)
    seen = [observed(event) for event in events]
    fired = first_firing(seen, series)
    assert fired is not None, truth["case"]
    now = min(fired + LATER_MINUTES, seen[-1].minute)
    metric: MetricName = "signup_count" if series.is_drop else "error_count"
    stored = Series(tenancy.project_id, "prod", metric, fingerprint, tenancy.org_id)
    held = [one for one in seen if series.holds(one) and one.minute <= now]
    counts = Counter(one.minute for one in held)
    incident_id = uuid4()
    values = {"id": incident_id, "org_id": tenancy.org_id, "project_id": tenancy.project_id}
    values |= {"fingerprint": fingerprint, "at": instant_of(fired), "seen": instant_of(now)}
    rule, window = ("signup-drop", 15) if series.is_drop else ("error-spike", 5)
    with transaction(pool) as connection:
        connection.execute(INCIDENT, values)
        connection.execute(EVALUATION, values | {"rule": rule, "window": window})
        buckets.increment(connection, {(stored, minute): count for minute, count in counts.items()})
        shipped = [one for one in _envelopes(events, tenancy) if one.event_type == "deploy"]
        deploys.insert_all(connection, [deploy_of(one) for one in shipped])
        for one in [one for one in held if one.minute >= fired][:3]:
            row = {"event_id": one.event_id, "at": one.at, "kind": one.event_type, "attributes": "{}"}
            connection.execute(EVENT, values | row)
        assert ai_jobs.enqueue(connection, job_id=uuid4(), incident_id=incident_id)
    return incident_id


def _envelopes(events: Iterable[Mapping[str, Any]], tenancy: Tenancy) -> list[Envelope]:
    now = datetime.now(UTC) + timedelta(minutes=1)
    return [
        canonicalize(raw, tenancy=tenancy, received_at=now, event_id=UUID(int=number, version=4))
        for number, raw in enumerate(events)
    ]
