"""How to connect to OpenSearch, and what a failed call means."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from opensearchpy import OpenSearch
from opensearchpy.exceptions import ConnectionError as TransportConnectionError
from opensearchpy.exceptions import TransportError

from signals.clients.tls import ca_file
from signals.errors import DependencyUnavailable
from signals.settings import OpenSearchSettings

Client = OpenSearch

REQUEST_TIMEOUT_S: Final = 15  # guess: a bulk of 8 MiB on a busy laptop stays far below
OVERLOADED: Final = frozenset({429, 502, 503, 504})


@contextmanager
def open_client(settings: OpenSearchSettings, *, connections: int = 4) -> Iterator[OpenSearch]:
    """Open a client with its own small connection pool; it does not retry by itself."""
    options: dict[str, Any] = {}
    if settings.opensearch_user is not None and settings.opensearch_pass is not None:
        options["http_auth"] = (settings.opensearch_user, settings.opensearch_pass.get_secret_value())
    if settings.opensearch_ca_cert:
        options["ca_certs"] = ca_file("OPENSEARCH_CA_CERT", settings.opensearch_ca_cert)
    client = OpenSearch(
        settings.opensearch_url,
        timeout=REQUEST_TIMEOUT_S,
        max_retries=0,
        pool_maxsize=connections,
        http_compress=False,
        **options,
    )
    try:
        yield client
    finally:
        client.close()


@contextmanager
def unavailable_when_down() -> Iterator[None]:
    """Turn connection failures and overload answers into one error.

    Raises:
        DependencyUnavailable: instead of a transport error that a later try may not meet.
    """
    try:
        yield
    except TransportConnectionError as error:
        raise DependencyUnavailable("OpenSearch", str(error.error)) from error
    except TransportError as error:
        if error.status_code not in OVERLOADED:
            raise
        raise DependencyUnavailable("OpenSearch", f"it answered {error.status_code}") from error


def check_reachable(client: OpenSearch, timeout_s: float = 2.0) -> None:
    """Ask the server who it is.

    Raises:
        DependencyUnavailable: when it does not answer in time.
    """
    with unavailable_when_down():
        client.info(request_timeout=timeout_s)
