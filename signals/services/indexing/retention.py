"""Keeps the index from growing without end."""

import time
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from signals.clients.opensearch.connection import Client
from signals.clients.opensearch.retention import remove_received_before

DOCUMENTS: Final = 1_000  # a page
PAGES: Final = 120  # a round; a round a minute removes up to 170 million documents a day
# Between pages: at most 4,000 documents/s. Measured were 2,600, beside bulk writing that took 18 to 23
# thousand documents/s alone and kept 0.50, 0.77 and 0.97 of that (three pairs, two cores for all).
PAUSE_S: Final = 0.25

log = structlog.get_logger(__name__)


class DocumentExpiry:
    """Removes documents that were received longer ago than `keep_days`; 0 keeps them indefinitely.

    Their age is counted from their arrival: a replay of last year's events is to be found like today's.
    """

    def __init__(self, client: Client, *, keep_days: int, documents: int = DOCUMENTS) -> None:
        self._client = client
        self._keep_days = keep_days
        self._documents = documents

    def round(self) -> int:
        """Remove a bounded number of documents, the oldest; return how many.

        Raises:
            DependencyUnavailable: when OpenSearch is away; the next round goes on.
        """
        if not self._keep_days:
            return 0
        before = datetime.now(UTC) - timedelta(days=self._keep_days)
        removed, after = 0, None
        for number in range(PAGES):
            if number:
                time.sleep(PAUSE_S)
            page = remove_received_before(self._client, before, after=after, documents=self._documents)
            removed, after = removed + page.removed, page.last
            if after is None:
                break
        if removed:
            log.info("removed by age", kind="documents", rows=removed, older_than_days=self._keep_days)
        return removed
