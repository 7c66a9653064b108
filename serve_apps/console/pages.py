"""A page is a row of a table: its path, the right that it asks for, and its handler.

Every request of the console takes one road: origin, session, project, right, handler.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Literal
from urllib.parse import parse_qsl, quote, urlencode
from uuid import UUID

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from serve_apps.console.cookies import origin_of, session_token, zone_of
from serve_apps.console.resources import ConsoleResources
from serve_apps.console.views import View
from serve_apps.console.words import Clock, utc_now
from serve_apps.http.bodies import read_body
from serve_apps.http.endpoint import Answer, Call, Endpoint
from serve_apps.http.problems import NOT_STORED, Problem, answer_to
from signals.domain.access.people import Person, PersonInProject, PersonRight, ProjectAccess

MAX_FORM_BYTES: Final = 16 * 1024  # of anyone; guess: a sign-in link and a few fields
MAX_TEXT_FORM_BYTES: Final = 256 * 1024  # of people: a rule of 64 KiB, each byte of it as three characters
MAX_FIELDS: Final = 100  # guess: a page of 50 chosen rows, and what to do with them
SIGN_IN: Final = "/console/sign-in"
LIVE_HEADER: Final = "x-signals-live"
"""Sent by a page that reads itself again (static/live.js, static/tail.js)."""
FORM: Final = "application/x-www-form-urlencoded"

PageRight = PersonRight | Literal["anyone", "member"]
"""`anyone` needs no session, `member` a session; a right of a role needs a project where the role has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A request of a page after all checks; `form` is empty unless something is to be changed."""

    request: Request
    form: Mapping[str, str]
    clock: Clock
    person: Person | None
    access: ProjectAccess | None

    @property
    def who(self) -> Person:
        """The person of a page that needs one."""
        assert self.person is not None, "the page is open to anyone"
        return self.person

    @property
    def where(self) -> ProjectAccess:
        """The project of a page that is about one."""
        assert self.access is not None, "the page is about no project"
        return self.access

    @property
    def caller(self) -> PersonInProject:
        """The person, as services that change the project take it."""
        return PersonInProject(tenancy=self.where.tenancy, actor=self.who.actor)

    @property
    def base(self) -> str:
        """The path that all pages of the project begin with."""
        return project_path(self.where.project_id)

    def query(self, name: str) -> str:
        """Return a parameter of the address, empty when it is absent."""
        return self.request.query_params.get(name, "").strip()

    def chosen(self, name: str, values: Sequence[str], default: str) -> str:
        """Return a parameter of the address that takes one of some values.

        Raises:
            Problem: 400 for another value.
        """
        given = self.query(name) or default
        if given not in values and given != default:
            raise Problem(400, "invalid_query", f"{name}: it is one of {', '.join(values)}.")
        return given

    def id(self, name: str, thing: str) -> UUID:
        """Return the id in the path.

        Raises:
            Problem: 404 when it is none.
        """
        try:
            return UUID(self.request.path_params[name])
        except ValueError as error:
            raise missing(thing) from error


Handler = Callable[[ConsoleResources, Visit], View | Response]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsolePage:
    """One method on one path of the console; `active` is the item of the navigation that it belongs to.

    `live` pages read themselves again: when a change of an incident is announced, or every few seconds.
    A page that is opened by itself, not by a person, is no use of the session. One that `knows_people` is
    open to anyone, and shows who is signed in.
    """

    method: Literal["GET", "POST"]
    path: str
    right: PageRight
    handler: Handler
    active: str = ""
    live: Literal["", "changes", "often"] = ""
    is_use: bool = True
    knows_people: bool = False

    def endpoint(self) -> Endpoint[ConsoleResources]:
        """Return the row of the application's table."""

        async def answer(resources: ConsoleResources, call: Call[None]) -> Response:
            try:
                most = MAX_FORM_BYTES if self.right == "anyone" else MAX_TEXT_FORM_BYTES
                form = await _form(call.request, most) if self.method == "POST" else {}
            except Problem as problem:
                return await call.in_thread(_failed, resources, call.request, problem)
            return await call.in_thread(_visited, self, resources, call.request, form)

        return Endpoint(
            method=self.method,
            path=self.path,
            handler=answer,
            tag="console",
            answers={200: Answer(description="")},
        )


def missing(thing: str) -> Problem:
    """Return the answer for what another project has as for what none has."""
    return Problem(404, f"no_such_{thing}", f"This project has no {thing} with this id.")


def query_of(**values: str) -> str:
    """Write the query of an address, without what is empty."""
    return "?" + urlencode({name: value for name, value in values.items() if value})


def project_path(project_id: str) -> str:
    """Return the path that all pages of a project begin with."""
    return f"/console/p/{quote(project_id)}"


def see_other(path: str) -> Response:
    """Send the browser to a page after a change, so that reloading does not repeat it."""
    return RedirectResponse(path, status_code=303, headers=NOT_STORED)


def own_path(text: str) -> str:
    """Return a path of the console, its start for any other text: no link leads from here to another site."""
    is_own = text.startswith("/console/") and not text.startswith(SIGN_IN)
    path = text.partition("?")[0]
    is_plain = text.isprintable() and "\\" not in text and "//" not in path
    may_have_cookies = path.isascii() and not set("; ,") & set(path)
    return text if is_own and is_plain and may_have_cookies else "/console/"


async def _form(request: Request, most: int) -> dict[str, str]:
    """Read the fields of a form that one of our own pages sent.

    Raises:
        Problem: 403 for another site's form, 415 for another type, 400 for what is no form.
    """
    origin = origin_of(request)
    if origin == "foreign":
        raise Problem(
            403, "foreign_origin", "This was not sent by a page of this console; open it and try again."
        )
    if origin == "unprotected":
        raise Problem(
            403,
            "no_tls",
            "This address is not protected: open the console by https, or on the machine itself.",
        )
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise Problem(415, "unsupported_type", f"Send {FORM}.")
    try:
        text = (await read_body(request, most)).decode("utf-8")
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise Problem(400, "malformed_form", "The form cannot be read.") from error
    return {name: value.strip() for name, value in pairs}


def _visited(
    page: ConsolePage, resources: ConsoleResources, request: Request, form: Mapping[str, str]
) -> Response:
    person = None
    try:
        if page.right != "anyone" or page.knows_people:
            is_use = page.is_use and LIVE_HEADER not in request.headers
            person = resources.signing_in.person(session_token(request), is_use=is_use)
        if person is None and page.right != "anyone" and page.method == "POST":
            view = View("signed_out.html", {"written": _written(form), "sign_in": SIGN_IN}, 401)
            visit = Visit(request=request, form=form, clock=_clock(request), person=None, access=None)
            return resources.renderer.answer(request, view, _common("", visit))
        if person is None and page.right != "anyone":
            wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            back = f"?next={quote(wanted, safe='')}" if wanted != "/console/" else ""
            return see_other(SIGN_IN + back)
        access = _access(page, person, request)
        visit = Visit(request=request, form=form, clock=_clock(request), person=person, access=access)
        # Before the page is read: what changes meanwhile is announced to it.
        shown = resources.overview.newest_number() if page.live == "changes" else 0
        result = page.handler(resources, visit)
        if isinstance(result, Response):
            return result
        common = _common(page.active, visit) | {"live": page.live, "shown_change": shown}
        return resources.renderer.answer(request, result, common)
    except Exception as error:  # noqa: BLE001  # every failure becomes a page
        return _failed(resources, request, error, person)


def _written(form: Mapping[str, str]) -> str:
    """Return what a person wrote into a form, not what they chose: the longest text of several words."""
    return max((text for text in form.values() if " " in text or "\n" in text), key=len, default="")


def _access(page: ConsolePage, person: Person | None, request: Request) -> ProjectAccess | None:
    """Return the project of the path.

    Raises:
        Problem: 404 for a project of another organisation as for none, 403 when the role lacks the right.
    """
    project_id = request.path_params.get("project_id")
    if person is None or project_id is None:
        return None
    access = person.project(project_id)
    if access is None:
        raise Problem(404, "no_such_project", "There is no such project, or you are not a member.")
    if page.right != "anyone" and page.right != "member" and not access.role.may(page.right):
        raise Problem(
            403, "role", f"You are a {access.role} here; ask an admin of {access.org_name} to do this."
        )
    return access


def _clock(request: Request) -> Clock:
    return Clock(utc_now(), zone_of(request)[0])


def _common(active: str, visit: Visit) -> dict[str, Any]:
    request = visit.request
    return {
        "active": active,
        "live": "",
        "shown_change": 0,
        "clock": visit.clock,
        "other_zone": zone_of(request)[1],
        "here": request.url.path + (f"?{request.url.query}" if request.url.query else ""),
        "person": visit.person,
        "access": visit.access,
        "base": visit.base if visit.access else "",
        "may": visit.access.role.may if visit.access else lambda _: False,
    }


def _failed(
    resources: ConsoleResources, request: Request, error: Exception, person: Person | None = None
) -> Response:
    """Return the page of an error: status and sentence are those that the API would answer."""
    problem = answer_to(request, error)
    body = json.loads(bytes(problem.body))
    kept = {name: problem.headers[name] for name in ("Retry-After",) if name in problem.headers}
    title = HTTPStatus(problem.status_code).phrase
    view = View("error.html", {"title": title, "detail": body["detail"]}, problem.status_code, kept)
    access = person.project(request.path_params.get("project_id", "")) if person else None
    visit = Visit(request=request, form={}, clock=_clock(request), person=person, access=access)
    return resources.renderer.answer(request, view, _common("", visit))
