"""The events index: its explicit mapping, and bulk creation with a verdict for each document."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final

from opensearchpy import OpenSearch
from opensearchpy.exceptions import RequestError, TransportError

from signals.clients.opensearch import EVENTS_INDEX
from signals.clients.opensearch.connection import unavailable_when_down
from signals.errors import DependencyUnavailable

BULK_TIMEOUT_S: Final = 60.0  # guess: writers choose sizes that take some seconds

KEYWORD: Final[dict[str, Any]] = {"type": "keyword", "ignore_above": 1024}

INDEXED_ATTRIBUTES: Final[dict[str, dict[str, Any]]] = {
    "route": KEYWORD,
    "method": KEYWORD,
    "error_code": KEYWORD,
    "release": KEYWORD,
    "status_code": {"type": "integer", "ignore_malformed": True},
}

INDEX_VERSION: Final = 3
"""2 has labels and templates, 3 is compressed; an index of 2 stays as it is, as it lacks nothing."""
LABELLED_VERSION: Final = 2
ADDED: Final[dict[str, dict[str, Any]]] = {
    "labels": KEYWORD,
    "template": {"type": "keyword", "index": False},  # counted, never searched for
}
"""Fields of version 2; documents of before have none, and are not written again for them."""

# Unknown attributes stay in the document but become no fields: the mapping cannot explode.
BODY: Final[dict[str, Any]] = {
    "settings": {
        "index": {
            "number_of_shards": 1,
            "number_of_replicas": 0,
            "refresh_interval": "1s",
            # A fifth to a third smaller than LZ4; a page of 50 events costs 2 CPU-ms more to read (measured).
            "codec": "best_compression",
            # Searches want the newest first: in the order of arrival each match replaces one found before it.
            "sort": {"field": "occurred_at", "order": "desc"},
        }
    },
    "mappings": {
        "_meta": {"version": INDEX_VERSION},
        "dynamic": False,
        "properties": {
            "schema_version": KEYWORD,
            "event_id": KEYWORD,
            "occurred_at": {"type": "date"},
            "received_at": {"type": "date"},
            "org_id": KEYWORD,
            "project_id": KEYWORD,
            "environment": KEYWORD,
            "event_type": KEYWORD,
            "severity": KEYWORD,
            "message": {"type": "text", "fields": {"keyword": KEYWORD}},
            "attributes": {"dynamic": False, "properties": INDEXED_ATTRIBUTES},
            "payload": {"type": "flat_object"},
            "origin": {"type": "keyword", "index": False, "doc_values": False},  # partition:offset
            **ADDED,
        },
    },
}


INDEX_AT_FAULT: Final = frozenset({"index_closed_exception", "validation_exception"})
"""Error types that come with a 400 for any document: closed, or as many shards as are allowed."""


class BulkVerdict(StrEnum):
    """The outcome of one document."""

    CREATED = "created"
    EXISTS = "exists"
    OVERLOADED = "overloaded"
    REFUSED = "refused"


class BulkTooLarge(Exception):  # noqa: N818  # reads as what happened
    """A request was refused for its bytes (413), by a proxy mostly: send fewer documents at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemResult:
    """The verdict of one document; `error` names the server's error type and reason when not taken."""

    verdict: BulkVerdict
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """The owner of a document, and its source record (`partition:offset`); None when unknown."""

    project_id: str
    origin: str | None


_CREATED: Final = ItemResult(verdict=BulkVerdict.CREATED)
_EXISTS: Final = ItemResult(verdict=BulkVerdict.EXISTS)


def ensure_index(client: OpenSearch) -> bool:
    """Create the events index when it is missing; return whether it was.

    One of an earlier release gets the fields that were added since; its documents stay as they are.

    Raises:
        DependencyUnavailable: when OpenSearch is away or overloaded.
    """
    with unavailable_when_down():
        if client.indices.exists(index=EVENTS_INDEX):
            _bring_up_to_date(client)
            return False
        try:
            client.indices.create(index=EVENTS_INDEX, body=BODY)
        except RequestError as error:
            if error.error == "resource_already_exists_exception":  # another process was faster
                return False
            raise
    return True


def _bring_up_to_date(client: OpenSearch) -> None:
    if _version(found := _mapping(client)) >= LABELLED_VERSION or _fault(found):
        return
    since = datetime.now(UTC).isoformat(timespec="seconds")
    meta = {"version": LABELLED_VERSION, "labels_since": since}
    client.indices.put_mapping(index=EVENTS_INDEX, body={"_meta": meta, "properties": ADDED})


def labels_since(client: OpenSearch) -> datetime | None:
    """Return since when documents carry labels; None when all of them do.

    Raises:
        DependencyUnavailable: when OpenSearch is away or overloaded.
        LookupError: when there is no such index, or it is of an earlier release.
    """
    found = _existing(client)
    if _version(found) < LABELLED_VERSION:
        raise LookupError(EVENTS_INDEX)
    since = found["_meta"].get("labels_since")
    return datetime.fromisoformat(since) if since else None


def is_outdated(client: OpenSearch) -> bool:
    """Whether the events index lacks fields of this release, which `ensure_index` adds.

    Raises:
        DependencyUnavailable: when OpenSearch is away or overloaded.
        LookupError: when there is no such index.
    """
    return _version(_existing(client)) < LABELLED_VERSION


def field_at_fault(client: OpenSearch) -> str | None:
    """Return a field that the events index has otherwise than we would make it, None when all are right.

    A field that an index of an earlier release lacks is not at fault.

    Raises:
        DependencyUnavailable: when OpenSearch is away or overloaded.
        LookupError: when there is no such index.
    """
    return _fault(_existing(client))


def _existing(client: OpenSearch) -> dict[str, Any]:
    with unavailable_when_down():
        if not client.indices.exists(index=EVENTS_INDEX):
            raise LookupError(EVENTS_INDEX)
        return _mapping(client)


def _mapping(client: OpenSearch) -> dict[str, Any]:
    (found,) = client.indices.get_mapping(index=EVENTS_INDEX).values()
    mappings: dict[str, Any] = found["mappings"]
    return mappings


def _version(mappings: dict[str, Any]) -> int:
    return int(mappings.get("_meta", {}).get("version", 1))


def _fault(mappings: dict[str, Any]) -> str | None:
    fields, wanted = mappings.get("properties", {}), BODY["mappings"]["properties"]
    return next(
        (
            name
            for name, kind in wanted.items()
            if not (name in ADDED and name not in fields)
            and fields.get(name, {}).get("type") != kind.get("type")
        ),
        None,
    )


def bulk_create(
    client: OpenSearch, documents: Sequence[tuple[str, bytes]], *, timeout_s: float = BULK_TIMEOUT_S
) -> list[ItemResult]:
    """Create documents from (id, JSON source), one verdict each.

    Raises:
        DependencyUnavailable: when the request as a whole failed; any part of it may have been kept.
        DependencyTimedOut: when no answer came in time; it may be working on the documents still.
        BulkTooLarge: when the request has too many bytes; none of it was kept.
    """
    lines = bytearray()
    for document_id, source in documents:
        lines += b'{"create":{"_id":"%s"}}\n%s\n' % (document_id.encode(), source)
    try:
        with unavailable_when_down():
            answer = client.bulk(
                body=bytes(lines),
                index=EVENTS_INDEX,
                params={"filter_path": "items.*.status,items.*.error.type,items.*.error.reason"},
                request_timeout=timeout_s,
            )
    except TransportError as error:
        if error.status_code != HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            raise
        raise BulkTooLarge(f"413: OpenSearch, or a proxy before it, takes no {len(lines)} bytes") from error
    items = answer.get("items", ()) if isinstance(answer, dict) else ()
    if len(items) != len(documents):
        raise DependencyUnavailable("OpenSearch", "its answer to a bulk does not tell of every document")
    return [_result(item["create"]) for item in items]


def stored(client: OpenSearch, document_ids: Sequence[str]) -> dict[str, Stored]:
    """Return whose each document is that exists, refreshed or not.

    Raises:
        DependencyUnavailable: when OpenSearch is away or overloaded, or could not read one of them.
    """
    with unavailable_when_down():
        answer = client.mget(
            body={"ids": list(document_ids)},
            index=EVENTS_INDEX,
            params={"_source_includes": "origin,project_id"},
        )
    if failed := next((found for found in answer["docs"] if "error" in found), None):
        raise DependencyUnavailable("OpenSearch", f"reading a document failed: {failed['error']['type']}")
    return {
        found["_id"]: Stored(project_id=found["_source"]["project_id"], origin=found["_source"].get("origin"))
        for found in answer["docs"]
        if found["found"]
    }


def _result(item: dict[str, Any]) -> ItemResult:
    status = item["status"]
    if status in (200, 201):
        return _CREATED
    if status == 409:
        return _EXISTS
    error = item.get("error", {})
    text = f"{status} {error.get('type', '')}: {error.get('reason', '')}"[:300]
    # Refused only when the document is at fault; a full disk answers 429 or 403, a closed index 400.
    is_refused = status == HTTPStatus.BAD_REQUEST and error.get("type") not in INDEX_AT_FAULT
    return ItemResult(verdict=BulkVerdict.REFUSED if is_refused else BulkVerdict.OVERLOADED, error=text)
