"""Why PostgreSQL or its pooler did not let us in, in one sentence that names the variable.

libpq has no codes for most of it, so its words are read; what is not known here is passed on as it is.
"""

import re
import socket
import struct
from pathlib import Path
from typing import Final

from psycopg.conninfo import conninfo_to_dict

from signals.clients.diagnosis import ConnectionFault, Variables, handshake_fault, one_line

VARIABLES: Final = Variables(
    address="DATABASE_URL",
    ca="PG_CA_CERT",
    plain="PG_SSLMODE=disable",
    encrypted="PG_SSLMODE=verify-full and PG_CA_CERT",
    login="DATABASE_URL",
)
ADDRESS: Final = (
    "write it like postgresql://user:password@host:5432/name, / and @ in a password as %2F and %40"
)
DEFAULT_PORT: Final = 5432
SSL_REQUEST: Final = struct.pack(">ii", 8, 80877103)  # protocol-message-formats, SSLRequest

NO_LOGIN: Final = (
    r"password authentication failed|no password supplied|SASL authentication failed"
    r'|no such user|role ".*" does not exist|password is empty'
)
NO_ANSWER: Final = (
    r"Connection refused|could not translate host name|failed to resolve host|[Tt]imeout expired"
    r"|timed out|No route to host|Network is unreachable|No such file or directory"
)
FAULTS: Final[tuple[tuple[str, ConnectionFault | str], ...]] = (  # the first that is found in libpq's words
    (r"does not match host name", ConnectionFault.WRONG_NAME),
    (r"certificate verify failed", ConnectionFault.UNTRUSTED),  # libpq does not say why: asked again below
    (r"server does not support SSL", ConnectionFault.NOT_TLS),
    (r"pg_hba\.conf .*(no encryption|SSL off)|SSL required", ConnectionFault.TLS_WANTED),
    (r"pg_hba\.conf", "its pg_hba.conf does not let the user of DATABASE_URL in from here"),
    (NO_LOGIN, ConnectionFault.LOGIN),
    (r'database ".*" does not exist|no such database', "it has no such database: check DATABASE_URL"),
    (r"invalid (integer value|port number)", "DATABASE_URL has no such port: " + ADDRESS),
    (r"unsupported startup parameter", "the pooler refuses the `options` in DATABASE_URL: leave them out"),
    (r"prepared statement", "a transaction pooler is in between: set PG_PREPARED_STATEMENTS=false"),
    (r"read-only transaction", "it takes no writes: DATABASE_URL leads to a standby, or its disk is full"),
    (NO_ANSWER, ConnectionFault.UNREACHABLE),
)


def explain(error: Exception, conninfo: str) -> str:
    """Return what is wrong; asks the server once more when it is its certificate."""
    text = one_line(str(error)) or type(error).__name__
    found = next((fault for pattern, fault in FAULTS if re.search(pattern, text)), text)
    if found is ConnectionFault.UNTRUSTED:
        found = _certificate_fault(conninfo)
    return VARIABLES.sentence(found) if isinstance(found, ConnectionFault) else found


def _certificate_fault(conninfo: str) -> ConnectionFault:
    given = conninfo_to_dict(conninfo)
    host = str(given.get("host", "localhost")).partition(",")[0]
    port = str(given.get("port", "")).partition(",")[0] or DEFAULT_PORT
    ca = given.get("sslrootcert")
    pem = Path(str(ca)).read_text(encoding="ascii") if ca and ca != "system" else None
    return handshake_fault(host, int(port), ca_pem=pem, prelude=_ask_for_tls) or ConnectionFault.UNTRUSTED


def _ask_for_tls(connection: socket.socket) -> None:
    connection.sendall(SSL_REQUEST)
    connection.recv(1)
