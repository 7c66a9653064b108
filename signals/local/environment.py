"""The environment variables through which every part finds the servers, and the file that holds them."""

import re
import shlex
import socket
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from signals.clients.sealing import new_key
from signals.local.errors import LocalStackError
from signals.local.files import replace_file

VARIABLES = {
    "postgres": ("DATABASE_URL", "PG_SSLMODE", "PG_CA_CERT"),
    "kafka": (
        "KAFKA_BROKERS",
        "KAFKA_SECURITY_PROTOCOL",
        "KAFKA_SASL_MECHANISM",
        "KAFKA_SASL_USERNAME",
        "KAFKA_SASL_PASSWORD",
        "KAFKA_CA_CERT",
    ),
    "opensearch": ("OPENSEARCH_URL", "OPENSEARCH_USER", "OPENSEARCH_PASS", "OPENSEARCH_CA_CERT"),
}
"""By server, its address first (requirements R33 to R35)."""
MODEL_VARIABLES = (
    "GRADIENT_BASE_URL",
    "GRADIENT_API_KEY",
    "GRADIENT_MODEL",
    "SIGNALS_AI_TOKENS_PER_DAY",
    "SIGNALS_AI_PRICES",
    "SIGNALS_AI_QUESTIONS_PER_DAY",
    "SIGNALS_AI_INVESTIGATES",
)
NOTIFY_VARIABLES = ("SIGNALS_SECRET_KEYS", "SIGNALS_NOTIFY_ALLOW", "SIGNALS_NOTIFY_LINK_URL")
PEOPLE_VARIABLES = (
    "SIGNALS_CONSOLE",
    "SIGNALS_PASSWORDS",
    "SIGNALS_PROXIES",
    "SIGNALS_OIDC_ISSUER",
    "SIGNALS_OIDC_CLIENT_ID",
    "SIGNALS_OIDC_CLIENT_SECRET",
    "SIGNALS_OIDC_NAME",
    "SIGNALS_OIDC_DOMAINS",
    "SIGNALS_OIDC_TRUST_ADDRESSES",
    "SIGNALS_OIDC_NEWCOMER_ORG",
    "SIGNALS_OIDC_NEWCOMER_ROLE",
)
ALLOWED_ON_A_LAPTOP = "127.0.0.0/8,::1"
"""Receivers of notifications on this machine: a stack of one's own may send to itself, a cluster may not."""
DEFAULT_PORTS = {"postgres": 5432, "kafka": 9092, "opensearch": 9200}
REACHABLE_WITHIN_S = 5.0


def address_variable(server: str) -> str:
    """The variable that says where the server is."""
    return VARIABLES[server][0]


def variables_for(server: str, values: Mapping[str, str]) -> dict[str, str]:
    """The server's variables with their values, empty where there is none."""
    return {name: values.get(name, "") for name in VARIABLES[server]}


def check_reachable(server: str, environ: Mapping[str, str]) -> None:
    """Make sure that the user's own server accepts connections.

    Raises:
        LocalStackError: it does not, or its address cannot be understood.
    """
    variable = address_variable(server)
    failures = []
    for host, port in _endpoints(server, environ[variable]):
        try:
            with socket.create_connection((host, port), timeout=REACHABLE_WITHIN_S):
                return
        except OSError as error:
            failures.append(f"{host}:{port} ({error.strerror or error})")
    raise LocalStackError(
        f"{variable} names a server that cannot be reached: {', '.join(failures)}; start it, "
        f"or unset {variable} to use a local one"
    )


def without_password(address: str) -> str:
    """The address as it may be shown."""
    return re.sub(r"(://[^:/@]+):[^@]*@", r"\1:***@", address)


def _endpoints(server: str, address: str) -> list[tuple[str, int]]:
    variable, default_port = address_variable(server), DEFAULT_PORTS[server]
    urls = [f"//{broker.strip()}" for broker in address.split(",")] if server == "kafka" else [address]
    endpoints = []
    for url in urls:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port or default_port
        except ValueError:
            host = None
        if host is None:
            shape = "host:port[,host:port]" if server == "kafka" else "scheme://host:port"
            raise LocalStackError(f"{variable} cannot be understood: it must look like {shape}")
        endpoints.append((host, port))
    return endpoints


def users_variables(environ: Mapping[str, str], kept: Mapping[str, str]) -> dict[str, str]:
    """The variables of model, people and notifications: as the user set them, else as at the last start.

    An empty one is none: a sourced environment file sets those that the user never named. Removing its line
    from the file ends one that is kept.
    """
    names = (*MODEL_VARIABLES, *PEOPLE_VARIABLES, *NOTIFY_VARIABLES)
    found = {name: environ.get(name) or kept.get(name, "") for name in names}
    needed = {
        "SIGNALS_SECRET_KEYS": kept.get("SIGNALS_SECRET_KEYS") or new_key(),
        "SIGNALS_NOTIFY_ALLOW": ALLOWED_ON_A_LAPTOP,
    }
    return found | {name: found[name] or value for name, value in needed.items()}


def read_env_file(path: Path) -> dict[str, str]:
    """The variables in the file, none when it does not exist."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return {}
    pairs = (word.partition("=") for word in shlex.split(text, comments=True))
    return {name: value for name, _, value in pairs}


def write_env_file(path: Path, variables: Mapping[str, str]) -> None:
    """Merge the variables into the file (0600), in one step; names that are not given keep their values.

    Both `set -a; . file` and dotenv readers understand it, PEM texts included.
    """
    merged = read_env_file(path) | dict(variables)
    lines = (f"{name}={shlex.quote(value) if value else ''}\n" for name, value in sorted(merged.items()))
    replace_file(
        path, "# Written by `signals up`; load with: set -a; . <this file>; set +a\n" + "".join(lines)
    )
