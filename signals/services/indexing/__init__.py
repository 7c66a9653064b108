"""Copies accepted events into OpenSearch; the offset moves when every document is settled."""

from signals.services.indexing.bulk import Writer
from signals.services.indexing.indexer import GROUP, EventIndexer
from signals.services.indexing.labelling import label_policy
from signals.services.indexing.retention import DocumentExpiry

__all__ = ["GROUP", "DocumentExpiry", "EventIndexer", "Writer", "label_policy"]
