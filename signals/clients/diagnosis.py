"""Names, in one sentence, the variable to fix when a server cannot be reached.

Client libraries tell the same fault in many words, and some keep the reason of a refused certificate to
themselves: `handshake_fault` then asks for it with a handshake of its own.
"""

import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

HANDSHAKE_TIMEOUT_S: Final = 3.0  # guess: the server has just answered another request
VERIFY_CODES_EXPIRED: Final = frozenset({9, 10})  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED
VERIFY_CODES_NAME: Final = frozenset({62, 64})  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH


class ConnectionFault(StrEnum):
    """A fault between us and a server; the text is a template for `Variables`."""

    UNTRUSTED = "no trusted CA has signed its certificate: set {ca} to the CA that did"
    WRONG_NAME = "its certificate is for another host name: write that name into {address}"
    EXPIRED = "its certificate or the CA in {ca} has expired, or is not valid yet: renew it"
    NOT_TLS = "it does not speak TLS on this port: correct the port in {address}, or set {plain}"
    TLS_WANTED = "it wants TLS on this port: set {encrypted}"
    LOGIN = "it refuses user and password: check {login}"
    FORBIDDEN = "it does not let our user do that: give the user in {login} the right"
    UNREACHABLE = "nothing answers there: check host and port in {address}, and that the server runs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variables:
    """The environment variables that rule one server's connections, as a sentence names them."""

    address: str
    ca: str
    plain: str
    encrypted: str
    login: str

    def sentence(self, fault: ConnectionFault) -> str:
        """Return what is wrong and what to set."""
        return fault.value.format(
            address=self.address, ca=self.ca, plain=self.plain, encrypted=self.encrypted, login=self.login
        )

    def fault_in(self, sentence: str) -> ConnectionFault | None:
        """Return the fault that a sentence of ours states, None for any other sentence."""
        return next((fault for fault in ConnectionFault if self.sentence(fault) == sentence), None)


def certificate_fault(error: ssl.SSLCertVerificationError) -> ConnectionFault:
    """Sort OpenSSL's verdict on a certificate.

    Source: https://docs.openssl.org/3.0/man3/X509_STORE_CTX_get_error/#error-codes
    """
    if error.verify_code in VERIFY_CODES_EXPIRED:
        return ConnectionFault.EXPIRED
    return ConnectionFault.WRONG_NAME if error.verify_code in VERIFY_CODES_NAME else ConnectionFault.UNTRUSTED


def handshake_fault(
    host: str, port: int, *, ca_pem: str | None, prelude: Callable[[socket.socket], None] | None = None
) -> ConnectionFault | None:
    """Try a TLS handshake and return why it fails, None when it succeeds.

    `prelude` says what a protocol says before TLS begins. `ca_pem` None means the system's CAs.
    """
    context = ssl.create_default_context(cadata=ca_pem)
    try:
        with socket.create_connection((host, port), timeout=HANDSHAKE_TIMEOUT_S) as connection:
            if prelude is not None:
                prelude(connection)
            with context.wrap_socket(connection, server_hostname=host):
                return None
    except ssl.SSLCertVerificationError as error:
        return certificate_fault(error)
    except ssl.SSLError:
        return ConnectionFault.NOT_TLS
    except OSError:
        return ConnectionFault.UNREACHABLE


def speaks_tls(host: str, port: int) -> bool:
    """Whether a server that hangs up on plain text speaks TLS; its certificate is not checked."""
    return handshake_fault(host, port, ca_pem=None) not in (
        ConnectionFault.NOT_TLS,
        ConnectionFault.UNREACHABLE,
    )


def one_line(text: str) -> str:
    """Return a library's own words without line breaks."""
    return " ".join(text.split())
