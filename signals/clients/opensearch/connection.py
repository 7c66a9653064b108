"""How to connect to OpenSearch, and what a failed call means."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from opensearchpy import OpenSearch, Urllib3HttpConnection
from opensearchpy.exceptions import ConnectionError as TransportConnectionError
from opensearchpy.exceptions import ConnectionTimeout, SerializationError, SSLError, TransportError

from signals.clients.diagnosis import ConnectionFault, Variables, certificate_fault, one_line, speaks_tls
from signals.clients.tls import ca_file
from signals.errors import DependencyTimedOut, DependencyUnavailable, SettingsError
from signals.settings import OpenSearchSettings

Client = OpenSearch

REQUEST_TIMEOUT_S: Final = 15  # guess: a search on a busy laptop stays far below
OVERLOADED: Final = frozenset({429, 500, 502, 503, 504})
BLOCKED: Final = "cluster_block_exception"
VARIABLES: Final = Variables(
    address="OPENSEARCH_URL",
    ca="OPENSEARCH_CA_CERT",
    plain="OPENSEARCH_URL to http://…",
    encrypted="OPENSEARCH_URL to https://…",
    login="OPENSEARCH_USER and OPENSEARCH_PASS",
)
TOO_SLOW: Final = "it takes requests but answers too late: it is overloaded or starved"
HUNG_UP: Final = ("RemoteDisconnected", "BadStatusLine", "reset by peer")
NO_ANSWER: Final = ("refused", "resolve", "Name or service", "unreachable", "No route", "timed out")


class _Connection(Urllib3HttpConnection):
    """Tells a server that wants TLS from one that has died: both just hang up."""

    def perform_request(self, *request: Any, **options: Any) -> Any:
        try:
            return super().perform_request(*request, **options)
        except TransportConnectionError as error:
            address = urlsplit(self.host)
            hung_up = any(sign in str(error.error) for sign in HUNG_UP)
            if hung_up and not self.use_ssl and speaks_tls(address.hostname or "", address.port or 80):
                raise DependencyUnavailable(
                    "OpenSearch", VARIABLES.sentence(ConnectionFault.TLS_WANTED)
                ) from error
            raise


@contextmanager
def open_client(settings: OpenSearchSettings, *, connections: int = 4) -> Iterator[OpenSearch]:
    """Open a client with its own small connection pool; it does not retry by itself.

    Raises:
        SettingsError: when variables contradict each other, or the CA cannot be read.
    """
    client = _client(settings, connections)
    try:
        yield client
    finally:
        client.close()


def renew(client: OpenSearch, settings: OpenSearchSettings, *, connections: int = 4) -> None:
    """Let the client's requests go as these settings say; those under way end over their old connections.

    Raises:
        SettingsError, DependencyUnavailable: when the server does not let us in so; the old ones stay.
    """
    fresh = _client(settings, connections)
    check_reachable(fresh)
    client.transport = fresh.transport  # its last user closes the old one


def _client(settings: OpenSearchSettings, connections: int) -> OpenSearch:
    return OpenSearch(
        settings.opensearch_url,
        connection_class=_Connection,
        timeout=REQUEST_TIMEOUT_S,
        max_retries=0,
        pool_maxsize=connections,
        http_compress=False,
        **_security_options(settings),
    )


@contextmanager
def unavailable_when_down() -> Iterator[None]:
    """Turn connection failures, refused logins and overload answers into one error.

    Raises:
        DependencyUnavailable: instead of a transport error that a later try may not meet.
        DependencyTimedOut: when the server took the request and did not answer in time.
    """
    try:
        yield
    except ConnectionTimeout as error:  # of the answer; a connection that cannot be made is the next
        raise DependencyTimedOut("OpenSearch", TOO_SLOW) from error
    except TransportConnectionError as error:
        raise DependencyUnavailable("OpenSearch", _explain(error)) from error
    except TransportError as error:
        fault = _answered_fault(error)
        if fault is not None:
            raise DependencyUnavailable("OpenSearch", VARIABLES.sentence(fault)) from error
        is_blocked = error.error == BLOCKED
        if error.status_code not in OVERLOADED and not is_blocked:
            raise
        reason = "it takes no writes, which a full disk is a reason for" if is_blocked else "it is overloaded"
        raise DependencyUnavailable("OpenSearch", f"it answered {error.status_code}: {reason}") from error
    except SerializationError as error:  # a proxy in between, or an answer that was cut off
        raise DependencyUnavailable("OpenSearch", "its answer is no JSON") from error


def check_reachable(client: OpenSearch, timeout_s: float = 2.0) -> None:
    """Ask the server who it is.

    Raises:
        DependencyUnavailable: when it does not answer in time.
    """
    with unavailable_when_down():
        client.info(request_timeout=timeout_s)


def server_version(client: OpenSearch) -> tuple[str, tuple[int, int]]:
    """Return the server's distribution and its version (major, minor).

    Raises:
        DependencyUnavailable: when it does not answer.
    """
    with unavailable_when_down():
        version = client.info()["version"]
    major, minor, *_ = version["number"].split(".")
    return version.get("distribution", "elasticsearch"), (int(major), int(minor))


def _security_options(settings: OpenSearchSettings) -> dict[str, Any]:
    scheme = urlsplit(settings.opensearch_url).scheme
    if scheme not in ("http", "https"):
        raise SettingsError("OPENSEARCH_URL: write it like https://host:9200")
    if (settings.opensearch_user is None) != (settings.opensearch_pass is None):
        raise SettingsError("set both OPENSEARCH_USER and OPENSEARCH_PASS, or neither")
    options: dict[str, Any] = {}
    if settings.opensearch_user is not None and settings.opensearch_pass is not None:
        options["http_auth"] = (settings.opensearch_user, settings.opensearch_pass.get_secret_value())
    if settings.opensearch_ca_cert:
        if scheme == "http":
            raise SettingsError(
                "set OPENSEARCH_URL to https://…: OPENSEARCH_CA_CERT is of no use with http://"
            )
        options["ca_certs"] = ca_file("OPENSEARCH_CA_CERT", settings.opensearch_ca_cert)
    return options


def _explain(error: TransportConnectionError) -> str:
    """Sort what the transport met before any answer; its words hold the address, never the password."""
    text = one_line(str(error.error))
    if isinstance(error, SSLError):
        refusal = _certificate_refusal(error)
        return VARIABLES.sentence(ConnectionFault.NOT_TLS if refusal is None else certificate_fault(refusal))
    if any(sign in text for sign in NO_ANSWER):
        return VARIABLES.sentence(ConnectionFault.UNREACHABLE)
    return text


def _certificate_refusal(error: BaseException) -> ssl.SSLCertVerificationError | None:
    """Find OpenSSL's verdict among the causes that urllib3 and opensearch-py have wrapped it in."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__ or cause.__context__
    return cause


def _answered_fault(error: TransportError) -> ConnectionFault | None:
    if error.status_code == HTTPStatus.UNAUTHORIZED:
        return ConnectionFault.LOGIN
    if error.status_code == HTTPStatus.FORBIDDEN and "security_exception" in str(error.error):
        return ConnectionFault.FORBIDDEN  # other 403s are blocked indices, no fault of the login
    return None
