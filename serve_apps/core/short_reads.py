"""Answers the reads that are asked most without the framework between, which costs more than they do.

It holds no rule: whatever is not plain (a key that must be looked up or is refused, a parameter that it does
not know or that is not as it should be) is for the application.
"""

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import Final, cast, get_args
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from serve_apps.core.answers import json_answer
from serve_apps.core.requests import MAX_PAGE, CoreResources, no_such_incident
from serve_apps.http.authorization import api_key
from serve_apps.http.problems import answer_to
from shared_types import Environment, Tenancy
from signals.domain.access.api_keys import Scope as KeyScope
from signals.services.access.authentication import Granted
from signals.services.incidents.views import ListRequest
from signals.store.incidents.incident_views import Status

LIST: Final = "/v1/incidents"
DETAIL: Final = re.compile(r"/v1/incidents/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.ASCII)
PLAIN: Final = {
    "env": re.compile("|".join(one.value for one in Environment)),
    "status": re.compile("|".join(get_args(Status))),
    "limit": re.compile("[1-9][0-9]{0,2}"),
    "cursor": re.compile(r"[\w-]{1,4096}", re.ASCII),
}
"""The parameters that a plain list may have, and how they look when nothing about them needs judging."""

Read = Callable[[Tenancy], Response]


class ShortReads:
    """Answers plain reads itself and hands everything else on."""

    def __init__(self, app: ASGIApp, resources: CoreResources, threads: Executor) -> None:
        self._app = app
        self._resources = resources
        self._threads = threads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, with a problem where reading raises one."""
        read = self._plain(scope) if scope.get("method") == "GET" else None
        tenancy = self._reader(Request(scope)) if read else None
        if read is None or tenancy is None:
            await self._app(scope, receive, send)
            return
        try:
            response = await asyncio.get_running_loop().run_in_executor(self._threads, read, tenancy)
        except Exception as error:  # noqa: BLE001  # raised again when it is a crash
            response = answer_to(Request(scope), error)
        await response(scope, receive, send)

    def _plain(self, scope: Scope) -> Read | None:
        path, query = scope["path"], scope["query_string"]
        if path == LIST:
            request = plain_list(query)
            return partial(self._list, request) if request else None
        found = None if query else DETAIL.fullmatch(path)
        return partial(self._detail, UUID(found[1])) if found else None

    def _reader(self, request: Request) -> Tenancy | None:
        verdict = self._resources.authenticating.check_cached(api_key(request.headers))
        granted = isinstance(verdict, Granted) and verdict.scope is KeyScope.READ
        return cast(Granted, verdict).tenancy if granted else None

    def _list(self, request: ListRequest, tenancy: Tenancy) -> Response:
        return json_answer(self._resources.investigating.page(tenancy, request))

    def _detail(self, incident_id: UUID, tenancy: Tenancy) -> Response:
        detail = self._resources.investigating.detail(tenancy, incident_id)
        if detail is None:
            raise no_such_incident()
        return json_answer(detail)


def plain_list(query: bytes) -> ListRequest | None:
    """Read the parameters of a list, None when one of them needs the application's judgement."""
    given: dict[str, str] = {}
    for pair in query.split(b"&") if query else ():
        name, _, value = pair.decode("latin-1").partition("=")
        form = PLAIN.get(name)
        if form is None or name in given or not form.fullmatch(value):
            return None
        given[name] = value
    limit = int(given.get("limit", 50))
    if limit > MAX_PAGE:
        return None
    return ListRequest(
        environment=given.get("env"),
        status=cast(Status | None, given.get("status")),
        limit=limit,
        cursor=given.get("cursor"),
    )
