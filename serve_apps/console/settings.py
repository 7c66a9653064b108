"""Settings of a project and its organisation: keys and their limits, members, and the audit."""

from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import UUID

from starlette.responses import Response

from serve_apps.console.audit_words import said_of, target_of
from serve_apps.console.cookies import address
from serve_apps.console.history import actor_of
from serve_apps.console.key_refusals import sentence_of
from serve_apps.console.pages import ConsolePage, Visit, project_path, see_other
from serve_apps.console.resources import ConsoleResources
from serve_apps.console.sending_lines import snippet
from serve_apps.console.shown_once import show_once, shown_once
from serve_apps.console.views import View
from serve_apps.http.problems import Problem
from signals.domain.access.people import INVITATION_LASTS, Role
from signals.domain.access.scopes import Scope
from signals.services.access import people, provisioning
from signals.services.access.provisioning import IssuedKey, ProvisioningRefused
from signals.services.access.settings_overview import SettingsOverview, find_valid_key, read_settings

AUDIT_ROWS: Final = 30
MAX_PROJECT_NAME: Final = 100  # characters; guess: a line of the menu
HINTS: Final = {Scope.INGEST: "sends events", Scope.READ: "reads incidents and events"}
"""The scopes that the page offers; a key for web pages needs origins, which `signals keys create` takes."""


def show_settings(resources: ConsoleResources, visit: Visit) -> View:
    """Show the settings that the person may see, and what a change has just made, this once."""

    def show(once: Mapping[str, Any]) -> View:
        command = snippet(visit, once["text"]) if once.get("scope") == Scope.INGEST else ""
        return _view(
            resources,
            visit,
            issued=once if "scope" in once else None,
            snippet=command,
            invitation=once.get("invitation", ""),
            invited=once.get("invited", ""),
        )

    return shown_once(visit, _page(visit), show)


def _page(visit: Visit) -> str:
    return f"{visit.base}/settings"


def _view(resources: ConsoleResources, visit: Visit, **shown: Any) -> View:
    """Render the settings; `shown` holds an issued key, an invitation or a refusal."""
    found = read_settings(
        resources.pool,
        visit.where.tenancy,
        is_admin=visit.where.role is Role.ADMIN,
        before=_before(visit),
        changes=AUDIT_ROWS + 1,
    )
    names = {f"user:{one.user_id}": one.name for one in found.members}
    changes, names = found.changes, names | _names_of_things(resources, visit, found)
    values: dict[str, Any] = {
        "keys": [key for key in reversed(found.keys) if key.revoked_at is None],
        "revoked": sum(key.revoked_at is not None for key in found.keys),
        "members": found.members,
        "ways_in": found.ways_in,
        "projects": [one for one in visit.who.projects if one.org_id == visit.where.org_id],
        "changes": [
            (one, actor_of(one.actor, names), said_of(one.detail, names), target_of(one.target, names))
            for one in changes[:AUDIT_ROWS]
        ],
        "older_changes": changes[AUDIT_ROWS - 1].id if len(changes) > AUDIT_ROWS else None,
        "newest_changes": _before(visit) is not None,
        "roles": list(Role),
        "scopes": list(HINTS),
        "hints": HINTS,
        "issued": None,
        "snippet": "",
        "invitation": "",
        "invited": "",
        "refusal": "",
        "refused_in": "",
    }
    status = 422 if shown.get("refusal") else 200
    return View("settings.html", values | shown, status)


def _names_of_things(resources: ConsoleResources, visit: Visit, found: SettingsOverview) -> dict[str, str]:
    """Return what keys, destinations and routes are called, by the targets and actors of changes."""
    if visit.where.role is not Role.ADMIN:
        return {}
    keys = {f"key:{key.key_id}": f"key {key.hash_prefix}…" for key in found.keys}
    called = {one.id: one.name for one in resources.destinations.all(visit.caller)}
    routes = {
        f"route:{one.id}": f"route to {called.get(one.destination_id, 'a former destination')}"
        for one in resources.routes.all(visit.caller)
    }
    return keys | routes | {f"destination:{key}": f"destination {name}" for key, name in called.items()}


def _before(visit: Visit) -> int | None:
    """Return the change that the shown ones are older than.

    Raises:
        Problem: 400 when it is no number.
    """
    text = visit.query("before")
    if text and not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Problem(400, "invalid_query", "before: it is the number of a change.")
    return int(text) if text else None


def _refused(resources: ConsoleResources, visit: Visit, section: str, error: ProvisioningRefused) -> View:
    return _view(resources, visit, refusal=sentence_of(error, visit.clock), refused_in=section)


def create_key(resources: ConsoleResources, visit: Visit) -> View | Response:
    """Create a key and lead to the page that shows it, this once."""
    scope = next((one for one in HINTS if one.value == visit.form.get("scope")), None)
    if scope is None:
        raise Problem(422, "unknown_scope", f"The scope is one of {', '.join(HINTS)}.")
    try:
        issued: IssuedKey = provisioning.issue_key(
            resources.pool, visit.where.project_id, scope, actor=visit.who.actor
        )
    except ProvisioningRefused as error:
        return _refused(resources, visit, "keys", error)
    return show_once(visit, _page(visit), {"scope": scope.value, "text": issued.text})


def revoke_key(resources: ConsoleResources, visit: Visit) -> Response:
    """Revoke a key of this project."""
    key_id = _key_of_project(resources, visit)
    provisioning.revoke_keys(resources.pool, key_id=key_id, actor=visit.who.actor)
    return see_other(f"{visit.base}/settings#keys")


def limit_key(resources: ConsoleResources, visit: Visit) -> View | Response:
    """Set the limits of a key of this project; an empty field is the installation's default."""
    key_id = _key_of_project(resources, visit)
    try:
        per_second = _limit(visit.form.get("events_per_second", ""), most=10**9)
        per_day = _limit(visit.form.get("events_per_day", ""), most=10**15)
    except ValueError as error:
        return _view(resources, visit, refusal=str(error), refused_in="keys")
    provisioning.limit_key(
        resources.pool, key_id, events_per_second=per_second, events_per_day=per_day, actor=visit.who.actor
    )
    return see_other(f"{visit.base}/settings#keys")


def _limit(text: str, *, most: int) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and int(text) <= most):
        raise ValueError(f"A limit is a whole number up to {most:,}, 0 for none, or empty for the default.")
    return int(text)


def _key_of_project(resources: ConsoleResources, visit: Visit) -> UUID:
    """Return the id of the form's key.

    Raises:
        Problem: 404 for a key of another project as for none.
    """
    found = find_valid_key(resources.pool, visit.where.project_id, visit.form.get("key", ""))
    if found is None:
        raise Problem(404, "no_such_key", "This project has no valid key with this id.")
    return found


def add_member(resources: ConsoleResources, visit: Visit) -> View | Response:
    """Add a person or change a role, and lead to a link with which they sign in, shown this once."""
    email, org_id, actor = visit.form.get("email", ""), visit.where.org_id, visit.who.actor
    role = next((one for one in Role if one.value == visit.form.get("role")), None)
    if role is None:
        raise Problem(422, "unknown_role", f"The role is one of {', '.join(Role)}.")
    try:
        people.add_person(resources.pool, email, org_id=org_id, role=role, actor=actor, only_here=True)
        link = people.issue_link(resources.pool, email, lasts=INVITATION_LASTS, org_id=org_id, actor=actor)
    except ProvisioningRefused as error:
        return _refused(resources, visit, "people", error)
    return show_once(visit, _page(visit), {"invitation": address(visit.request) + link, "invited": email})


def _member_change(work: Callable[..., object]) -> Callable[[ConsoleResources, Visit], View | Response]:
    """Return the handler that changes a member of this organisation, whom the form names by their address."""

    def change(resources: ConsoleResources, visit: Visit) -> View | Response:
        email, org_id = visit.form.get("email", ""), visit.where.org_id
        try:
            work(resources.pool, email, org_id=org_id, actor=visit.who.actor)
        except ProvisioningRefused as error:
            return _refused(resources, visit, "people", error)
        return see_other(f"{visit.base}/settings#people")

    return change


def create_project(resources: ConsoleResources, visit: Visit) -> View | Response:
    """Create a project of this organisation, and go to its overview, which makes its first key."""
    project_id, org_id = visit.form.get("project", ""), visit.where.org_id
    try:
        name = _project_name(visit.form.get("name", "") or project_id)
        is_new = provisioning.create_project(
            resources.pool, project_id, org_id=org_id, name=name, actor=visit.who.actor
        )
    except ProvisioningRefused as error:
        return _refused(resources, visit, "projects", error)
    if not is_new:
        refusal = ProvisioningRefused(f"there is a project {project_id} already")
        return _refused(resources, visit, "projects", refusal)
    return see_other(f"{project_path(project_id)}/")


def rename_project(resources: ConsoleResources, visit: Visit) -> View | Response:
    """Rename this project; its id stays."""
    try:
        name = _project_name(visit.form.get("name", ""))
    except ProvisioningRefused as error:
        return _refused(resources, visit, "projects", error)
    provisioning.rename_project(resources.pool, visit.where.project_id, name, actor=visit.who.actor)
    return see_other(f"{visit.base}/settings#projects")


def _project_name(name: str) -> str:
    if not (name.isprintable() and 0 < len(name) <= MAX_PROJECT_NAME):
        raise ProvisioningRefused(f"a name has 1 to {MAX_PROJECT_NAME} printable characters")
    return name


_SETTINGS: Final = "/console/p/{project_id}/settings"


def _change(name: str, handler: Callable[[ConsoleResources, Visit], View | Response]) -> ConsolePage:
    return ConsolePage(
        method="POST", path=f"{_SETTINGS}/{name}", right="administer", handler=handler, active="settings"
    )


PAGES: Final = (
    ConsolePage(method="GET", path=_SETTINGS, right="read", handler=show_settings, active="settings"),
    _change("create-key", create_key),
    _change("revoke-key", revoke_key),
    _change("limit-key", limit_key),
    _change("add-member", add_member),
    _change("remove-member", _member_change(people.remove_person)),
    _change("erase-member", _member_change(people.erase_person)),
    _change("sign-out-member", _member_change(people.sign_out_member)),
    _change("create-project", create_project),
    _change("rename-project", rename_project),
)
