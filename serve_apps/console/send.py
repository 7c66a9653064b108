"""How other products' clients send here: lines to paste, and what they sent that became no event."""

from collections.abc import Sequence
from typing import Any, Final

from serve_apps.console.cookies import address
from serve_apps.console.overview import NO_KEY
from serve_apps.console.pages import ConsolePage, Visit
from serve_apps.console.resources import ConsoleResources
from serve_apps.console.views import View
from serve_apps.http.problems import Problem
from signals.domain.access.people import Role
from signals.domain.access.scopes import Scope
from signals.services.access import provisioning
from signals.services.access.provisioning import IssuedKey, KeyOptions, ProvisioningRefused
from signals.services.events.door_lines import PAGES as PAGE_LINES
from signals.services.events.door_lines import SERVERS, filled, lines
from signals.services.ledger.audit import NotEvents, span

SCOPES: Final = {"servers": Scope.INGEST, "pages": Scope.PUBLIC}
SHOWN_ROWS: Final = 200  # minutes, doors and reasons; guess: more is read in `signals doors --traffic`
NO_PROJECT: Final = ""
"""Under it the ledger enters hits with unknown keys: they name no project."""


def show_send(resources: ConsoleResources, visit: Visit) -> View:
    """Show what to paste, and what became no event in the newest hour."""
    return _view(resources, visit)


def _view(resources: ConsoleResources, visit: Visit, **shown: Any) -> View:
    """Render the page; `shown` holds a new key with its lines, or a refusal, each this once."""
    since, until = span(None, None)
    found = _newest(resources.ledger_audit.not_events(visit.where.project_id, since, until))
    unknown: Sequence[NotEvents] = ()
    if visit.where.role is Role.ADMIN:  # they are the installation's, like its keys
        unknown = _newest(resources.ledger_audit.not_events(NO_PROJECT, since, until))
    url = address(visit.request)
    values: dict[str, Any] = {
        "servers": sections(filled(SERVERS, NO_KEY, url)),
        "pages": sections(filled(PAGE_LINES, NO_KEY, url)),
        "not_events": found[:SHOWN_ROWS],
        "unknown": unknown[:SHOWN_ROWS],
        "more": max(0, len(found) - SHOWN_ROWS),
        "issued": None,
        "issued_for": "",
        "refusal": "",
    }
    return View("send.html", values | shown, 422 if shown.get("refusal") else 200)


def sections(text: str) -> list[tuple[str, str]]:
    """Split lines to paste into headings and what stands below them."""
    parts = [one.partition("\n") for one in text.split("\n\n")]
    return [(heading, _outdented(body)) for heading, _, body in parts if body]


def _outdented(body: str) -> str:
    rows = body.splitlines()
    is_inset = all(row.startswith("  ") for row in rows)
    return "\n".join(row[2:] if is_inset else row for row in rows)


def _newest(rows: Sequence[NotEvents]) -> list[NotEvents]:
    return sorted(rows, key=lambda row: (row.minute_at, row.items), reverse=True)


def create_sending_key(resources: ConsoleResources, visit: Visit) -> View:
    """Create a key for servers or for web pages, and show the lines with it, this once."""
    wanted = visit.form.get("for", "")
    if wanted not in SCOPES:
        raise Problem(422, "unknown_scope", f"A key is for one of {', '.join(SCOPES)}.")
    origins = tuple(visit.form.get("origins", "").replace(",", " ").split()) if wanted == "pages" else ()
    try:
        issued: IssuedKey = provisioning.issue_key(
            resources.pool,
            visit.where.project_id,
            SCOPES[wanted],
            options=KeyOptions(origins=origins),
            actor=visit.who.actor,
        )
    except ProvisioningRefused as error:
        text = str(error)
        return _view(resources, visit, refusal=f"{text[:1].upper()}{text[1:]}.")
    filled_in = sections(lines(issued.text, address(visit.request)))
    return _view(resources, visit, issued=issued, issued_for=wanted, **{wanted: filled_in})


_PAGE: Final = "/console/p/{project_id}/send"
PAGES: Final = (
    ConsolePage(method="GET", path=_PAGE, right="read", handler=show_send, active="send"),
    ConsolePage(
        method="POST",
        path=f"{_PAGE}/create-key",
        right="administer",
        handler=create_sending_key,
        active="send",
    ),
)
