"""Copies accepted events into OpenSearch; the offset moves when every document is settled."""

from signals.services.indexing.expiry import Expiring
from signals.services.indexing.indexer import GROUP, Indexing

__all__ = ["GROUP", "Expiring", "Indexing"]
