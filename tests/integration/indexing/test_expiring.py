"""Which documents retention removes from the index, in steps of what size."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from shared_types import Envelope
from signals.clients.opensearch import EVENTS_INDEX
from signals.clients.opensearch.connection import Client
from signals.clients.opensearch.index import bulk_create
from signals.errors import DependencyUnavailable
from signals.services.indexing import DocumentExpiry, retention
from tests.support.events import NOON, errors


def received(count: int, *, days_ago: float) -> list[Envelope]:
    """Make events of one past noon that were received so many days ago."""
    at = datetime.now(UTC) - timedelta(days=days_ago)
    return [event.model_copy(update={"received_at": at}) for event in errors(count, NOON)]


def index(client: Client, events: Iterable[Envelope]) -> None:
    bulk_create(client, [(str(event.event_id), event.to_json()) for event in events])
    client.indices.refresh(index=EVENTS_INDEX)


def left(client: Client) -> set[str]:
    client.indices.refresh(index=EVENTS_INDEX)
    hits = client.search(index=EVENTS_INDEX, body={"size": 1000, "_source": False})["hits"]["hits"]
    return {hit["_id"] for hit in hits}


def test_documents_expire_by_their_time_of_receipt(opensearch: Client) -> None:
    old, new = received(15, days_ago=30.01), received(5, days_ago=29.99)
    index(opensearch, [*old, *new])
    assert DocumentExpiry(opensearch, keep_days=30).round() == 15
    assert left(opensearch) == {str(event.event_id) for event in new}
    assert DocumentExpiry(opensearch, keep_days=30).round() == 0


def test_bounded_round_removes_the_oldest_first_and_the_next_continues(
    opensearch: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "PAGES", 3)
    oldest, older = received(6, days_ago=50), received(5, days_ago=40)
    index(opensearch, [*older, *oldest])
    two_a_page = DocumentExpiry(opensearch, keep_days=30, documents=2)
    assert two_a_page.round() == 6  # though deleted documents stay findable until the index is refreshed
    assert left(opensearch) == {str(event.event_id) for event in older}
    assert two_a_page.round() == 5
    assert not left(opensearch)


def test_zero_days_keep_documents_indefinitely(opensearch: Client) -> None:
    index(opensearch, received(3, days_ago=3000))
    assert DocumentExpiry(opensearch, keep_days=0).round() == 0
    assert len(left(opensearch)) == 3


def test_read_only_index_is_reported(opensearch: Client) -> None:
    index(opensearch, received(3, days_ago=40))
    opensearch.indices.put_settings(index=EVENTS_INDEX, body={"index.blocks.read_only": True})
    try:
        with pytest.raises(DependencyUnavailable, match="OpenSearch"):
            DocumentExpiry(opensearch, keep_days=30).round()
    finally:
        opensearch.indices.put_settings(index=EVENTS_INDEX, body={"index.blocks.read_only": None})


def test_absent_opensearch_fails_a_round() -> None:
    with pytest.raises(DependencyUnavailable, match="OpenSearch"):
        DocumentExpiry(Client("http://127.0.0.1:1", max_retries=0), keep_days=30).round()
