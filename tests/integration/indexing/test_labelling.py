"""Labels and templates of documents, and an index of an earlier release that gets them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from signals.clients.kafka.publisher import Publisher
from signals.clients.opensearch import EVENTS_INDEX
from signals.clients.opensearch.connection import Client
from signals.clients.opensearch.index import (
    ADDED,
    BODY,
    LABELLED_VERSION,
    ensure_index,
    field_at_fault,
    is_outdated,
    labels_since,
)
from signals.clients.opensearch.search import EventSearch
from signals.domain.findings.labels import LabelPolicy
from signals.domain.queries.search import event_query
from signals.errors import SettingsError
from signals.services.indexing import label_policy
from signals.settings import LabelSettings
from tests.integration.indexing.test_indexing import Open, documents
from tests.integration.indexing.test_indexing import indexer as indexer  # a fixture
from tests.support.consuming import drain
from tests.support.events import NOON, TENANCY, event, publish


def _index_of_version_1(client: Client) -> None:
    fields = {name: kind for name, kind in BODY["mappings"]["properties"].items() if name not in ADDED}
    client.indices.delete(index=EVENTS_INDEX)
    client.indices.create(
        index=EVENTS_INDEX,
        body={"settings": BODY["settings"], "mappings": {"dynamic": False, "properties": fields}},
    )


def test_document_carries_labels_and_template_without_secrets(
    indexer: Open, opensearch: Client, publisher: Publisher
) -> None:
    plain = event("error", NOON, route="/x", region="fra1", items=350, api_key="k1", owner="ann@example.org")
    said = "Order 81234 of ann@example.org failed, token=abcDEF123ghi456JKL"
    sent = plain.model_copy(update={"message": said})
    publish(publisher, [sent])
    with indexer() as session:
        drain(session)
    [found] = documents(opensearch).values()
    assert found["labels"] == ["region=fra1", "route=/x", "items=200..499"]
    assert found["template"] == "Order {n} of {id} failed, token={id}"
    query = event_query(text=None, filters=(), since=None, until=None)
    [shown] = EventSearch(opensearch).first(TENANCY, query, limit=1).events
    assert not set(shown) & {*ADDED, "origin"}


def test_refused_document_keeps_its_labels(indexer: Open, opensearch: Client, publisher: Publisher) -> None:
    clashing: dict[str, Any] = {"route": "/x", "route.x": "clashes", "region": "fra1"}
    publish(publisher, [event("error", NOON, **clashing)])
    with indexer() as session:
        drain(session)
    [found] = documents(opensearch).values()
    assert found["original"]
    assert "region=fra1" in found["labels"]


def test_denied_names_of_a_project_become_no_labels(
    indexer: Open, opensearch: Client, publisher: Publisher
) -> None:
    publish(publisher, [event("error", NOON, region="fra1", tier="pro")])
    with indexer(labels=LabelPolicy.read("", f"{TENANCY.project_id}:tier")) as session:
        drain(session)
    [found] = documents(opensearch).values()
    assert found["labels"] == ["region=fra1"]


def test_index_of_an_earlier_release_gets_the_fields_and_keeps_its_documents(
    indexer: Open, opensearch: Client, publisher: Publisher
) -> None:
    _index_of_version_1(opensearch)
    opensearch.index(index=EVENTS_INDEX, id="old", body={"event_id": "old"})
    assert (field_at_fault(opensearch), is_outdated(opensearch)) == (None, True)
    with pytest.raises(LookupError):
        labels_since(opensearch)
    assert ensure_index(opensearch) is False
    since = labels_since(opensearch)
    assert since is not None
    assert abs(datetime.now(UTC) - since) < timedelta(minutes=5)
    publish(publisher, [event("error", NOON, region="fra1")])
    with indexer() as session:
        drain(session)
    ensure_index(opensearch)
    assert labels_since(opensearch) == since
    assert {"labels" in found for found in documents(opensearch).values()} == {True, False}


def test_new_index_has_labels_from_the_beginning(opensearch: Client) -> None:
    assert (labels_since(opensearch), is_outdated(opensearch)) == (None, False)
    assert _codec(opensearch) == "best_compression"


def test_index_before_compression_stays_as_it_is(opensearch: Client) -> None:
    index = BODY["settings"]["index"]
    plain = {name: value for name, value in index.items() if name != "codec"}
    mappings = BODY["mappings"] | {"_meta": {"version": LABELLED_VERSION}}
    opensearch.indices.delete(index=EVENTS_INDEX)
    opensearch.indices.create(index=EVENTS_INDEX, body={"settings": {"index": plain}, "mappings": mappings})
    assert ensure_index(opensearch) is False
    assert (field_at_fault(opensearch), is_outdated(opensearch)) == (None, False)
    assert (labels_since(opensearch), _codec(opensearch)) == (None, None)


def _codec(client: Client) -> str | None:
    (found,) = client.indices.get_settings(index=EVENTS_INDEX).values()
    codec: str | None = found["settings"]["index"].get("codec")
    return codec


def test_bad_setting_of_labels_is_named() -> None:
    with pytest.raises(SettingsError, match="SIGNALS_LABELS_DENIED"):
        label_policy(LabelSettings(signals_labels_denied="a=b"))
