"""How other products' clients send here: lines to paste, and what they sent that became no event."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from starlette.responses import Response

from serve_apps.console.cookies import address
from serve_apps.console.key_refusals import sentence_of
from serve_apps.console.pages import ConsolePage, Visit
from serve_apps.console.resources import ConsoleResources
from serve_apps.console.sending_lines import NO_KEY, sections, server_lines, snippet
from serve_apps.console.shown_once import show_once, shown_once
from serve_apps.console.views import View
from serve_apps.http.problems import Problem
from signals.domain.access.people import Role
from signals.domain.access.scopes import Scope
from signals.services.access import provisioning
from signals.services.access.provisioning import IssuedKey, KeyOptions, ProvisioningRefused
from signals.services.events.door_lines import PAGES as PAGE_LINES
from signals.services.events.door_lines import filled
from signals.services.ledger.audit import NotEvents, span

SCOPES: Final = {"servers": Scope.INGEST, "pages": Scope.PUBLIC}
SHOWN_ROWS: Final = 200  # minutes, doors and reasons; guess: more is read in `signals doors --traffic`
NO_PROJECT: Final = ""
"""Under it the ledger enters hits with unknown keys: they name no project."""


def show_send(resources: ConsoleResources, visit: Visit) -> View:
    """Show what to paste, with a key that was just made, this once; and what became no event."""

    def show(once: Mapping[str, Any]) -> View:
        if not once:
            return _view(resources, visit)
        filled_in = _lines(visit, once["for"], once["text"])
        return _view(resources, visit, issued=once, issued_for=once["for"], **{once["for"]: filled_in})

    return shown_once(visit, _page(visit), show)


def _page(visit: Visit) -> str:
    return f"{visit.base}/send"


def _lines(visit: Visit, for_whom: str, key: str) -> list[tuple[str, str]]:
    """Return the headings and lines for servers or pages; those for servers begin with a plain event."""
    if for_whom == "servers":
        return [("One event, by curl", snippet(visit, key)), *server_lines(visit, key)]
    return sections(filled(PAGE_LINES, key, address(visit.request)))


def _view(resources: ConsoleResources, visit: Visit, **shown: Any) -> View:
    """Render the page; `shown` holds a new key with its lines, or a refusal."""
    since, until = span(None, None)
    found = _newest(resources.ledger_audit.not_events(visit.where.project_id, since, until))
    unknown: Sequence[NotEvents] = ()
    if visit.where.role is Role.ADMIN:  # they are the installation's, like its keys
        unknown = _newest(resources.ledger_audit.not_events(NO_PROJECT, since, until))
    values: dict[str, Any] = {
        "servers": _lines(visit, "servers", NO_KEY),
        "pages": _lines(visit, "pages", NO_KEY),
        "not_events": found[:SHOWN_ROWS],
        "unknown": unknown[:SHOWN_ROWS],
        "more": max(0, len(found) - SHOWN_ROWS),
        "issued": None,
        "issued_for": "",
        "refusal": "",
    }
    return View("send.html", values | shown, 422 if shown.get("refusal") else 200)


def _newest(rows: Sequence[NotEvents]) -> list[NotEvents]:
    return sorted(rows, key=lambda row: (row.minute_at, row.items), reverse=True)


def create_sending_key(resources: ConsoleResources, visit: Visit) -> View | Response:
    """Create a key for servers or for web pages, and lead to the lines with it, shown this once."""
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
        return _view(resources, visit, refusal=sentence_of(error, visit.clock))
    return show_once(visit, _page(visit), {"for": wanted, "text": issued.text, "key_id": str(issued.key_id)})


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
