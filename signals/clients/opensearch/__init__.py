"""The door to OpenSearch: connection, the events index, bulk writes, search."""

from typing import Final

EVENTS_INDEX: Final = "signals-events-v1"
