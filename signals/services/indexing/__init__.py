"""Copies accepted events into OpenSearch; the offset moves when every document is settled."""

from signals.services.indexing.expiry import DocumentExpiry
from signals.services.indexing.indexer import GROUP, EventIndexer

__all__ = ["GROUP", "DocumentExpiry", "EventIndexer"]
