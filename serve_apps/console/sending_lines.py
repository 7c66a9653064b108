"""Lines to paste that send events: a plain event by curl, and those of other products' clients."""

from typing import Final

from serve_apps.console.cookies import address
from serve_apps.console.pages import Visit
from signals.services.events.door_lines import SERVERS, filled

NO_KEY: Final = "$PROJECT_API_KEY"
"""Stands in lines that were not filled: only a key's hash is stored."""
SNIPPET: Final = """curl -sS {address}/v1/events \\
  -H "Authorization: Bearer {key}" \\
  -H 'Content-Type: application/json' \\
  -d '{{"event_type": "error", "environment": "prod", "occurred_at": "'"$(date -u +%FT%TZ)"'",
       "message": "hello", "attributes": {{"route": "/checkout", "error_code": "HELLO"}}}}'"""


def snippet(visit: Visit, key: str) -> str:
    """Return the command that sends a first event, ready to be pasted once it has a key."""
    return SNIPPET.format(address=address(visit.request), key=key)


def server_lines(visit: Visit, key: str) -> list[tuple[str, str]]:
    """Return the headings and lines of what servers and CI run."""
    return sections(filled(SERVERS, key, address(visit.request)))


def sections(text: str) -> list[tuple[str, str]]:
    """Split lines to paste into headings and what stands below them."""
    parts = [one.partition("\n") for one in text.split("\n\n")]
    return [(heading, _outdented(body)) for heading, _, body in parts if body]


def _outdented(body: str) -> str:
    rows = body.splitlines()
    is_inset = all(row.startswith("  ") for row in rows)
    return "\n".join(row[2:] if is_inset else row for row in rows)
