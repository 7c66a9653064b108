"""Turns a link of the API into the command that reads the same thing."""

import shlex
from urllib.parse import parse_qs, urlsplit

from signals.cli.readable import plain

SEARCH = "/v1/search/events"
DEPLOYS = "/v1/deploys/"


def command_for(href: str) -> str:
    """Return the command, quoted for a shell; without one, the request itself. Links hold text of events."""
    parts = urlsplit(href)
    if parts.path == SEARCH:
        query = parse_qs(parts.query)
        options = {
            "--filter": query.get("filters"),
            "--since": query.get("since"),
            "--until": query.get("until"),
        }
        given = [word for name, values in options.items() for value in values or () for word in (name, value)]
        return plain(shlex.join(["signals", "search", *query.get("q", ()), *given]))
    if parts.path.startswith(DEPLOYS):
        return plain(shlex.join(["signals", "deploys", "show", parts.path.removeprefix(DEPLOYS)]))
    return plain(f"GET {href}")
