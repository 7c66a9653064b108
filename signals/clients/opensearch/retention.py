"""Removes old documents, oldest first, one bounded page at a time."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import orjson

from signals.clients.opensearch import EVENTS_INDEX
from signals.clients.opensearch.connection import Client, unavailable_when_down
from signals.errors import DependencyUnavailable

FILTER: Final = "items.*.result,items.*.error.type"

RetentionPosition = list[int | str]
"""Milliseconds of receiving, and event id: what documents are sorted by here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedDocuments:
    """Documents that one step found and removed; the next begins at `last`, None when nothing is left."""

    last: RetentionPosition | None
    removed: int


def remove_received_before(
    client: Client, instant: datetime, *, after: RetentionPosition | None, documents: int
) -> DeletedDocuments:
    """Delete at most `documents` documents received before `instant`, the oldest behind `after`.

    What is deleted stays findable until the next refresh: hence the position. Several may do it at once.
    A search and a bulk instead of `_delete_by_query`, which knows no order: oldest first, whole segments
    die together and are dropped without being merged.

    Raises:
        DependencyUnavailable: when OpenSearch is away, overloaded, or takes no writes.
    """
    question: dict[str, object] = {
        "query": {"range": {"received_at": {"lt": instant.isoformat(timespec="milliseconds")}}},
        "sort": [{"received_at": "asc"}, {"event_id": "asc"}],
        "size": documents,
        "_source": False,
        "track_total_hits": False,
    }
    if after is not None:
        question["search_after"] = after
    with unavailable_when_down():
        hits = client.search(index=EVENTS_INDEX, body=question)["hits"]["hits"]
        if not hits:
            return DeletedDocuments(last=None, removed=0)
        lines = b"".join(b'{"delete":{"_id":%s}}\n' % orjson.dumps(hit["_id"]) for hit in hits)
        answer = client.bulk(body=lines, index=EVENTS_INDEX, params={"filter_path": FILTER})
    results = [item["delete"] for item in answer["items"]]
    if refused := next((result["error"] for result in results if "error" in result), None):
        raise DependencyUnavailable("OpenSearch", f"it removes no documents: {refused['type']}")
    removed = sum(result["result"] == "deleted" for result in results)  # else another one was faster
    return DeletedDocuments(last=hits[-1]["sort"] if len(hits) == documents else None, removed=removed)
