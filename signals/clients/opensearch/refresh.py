"""Makes indexed documents searchable at once; callers that wait at the same time share one refresh."""

import threading
from typing import Final

import structlog
from opensearchpy.exceptions import TransportError

from signals.clients.opensearch import EVENTS_INDEX
from signals.clients.opensearch.connection import Client, unavailable_when_down
from signals.errors import DependencyUnavailable

REFRESH_TIMEOUT_S: Final = 1.0  # the index refreshes itself each second anyway

log = structlog.get_logger(__name__)


class SharedRefresh:
    """Refreshes the events index, one refresh at a time; safe to call from several threads."""

    def __init__(self, client: Client, *, timeout_s: float = REFRESH_TIMEOUT_S) -> None:
        self._client = client
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._begun = 0
        self._has_worked = False

    def __call__(self) -> bool:
        """Return whether everything that was indexed before this call can be searched now.

        False when OpenSearch does not refresh in time, or forbids it; it does so by itself a little later.
        """
        asked_at = self._begun
        with self._lock:
            if self._begun == asked_at:  # else one began after this call, and has ended
                self._begun += 1
                self._has_worked = self._refresh()
            return self._has_worked

    def _refresh(self) -> bool:
        try:
            with unavailable_when_down():
                self._client.indices.refresh(index=EVENTS_INDEX, request_timeout=self._timeout_s)
        except (DependencyUnavailable, TransportError) as error:
            log.info("index not refreshed", reason=str(error))
            return False
        return True
