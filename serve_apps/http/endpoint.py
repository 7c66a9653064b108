"""One method on one path: its handler, what it needs of a request, and what it promises in the document."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, ParamSpec, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from serve_apps.http.abandoned import unless_abandoned
from serve_apps.http.authorization import Authorizer
from serve_apps.http.parameters import query_reader
from shared_types import Tenancy
from signals.domain.access.principal import Principal
from signals.domain.access.scopes import Right

Resources = TypeVar("Resources")
QueryOf = TypeVar("QueryOf")
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

Answering = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Call(Generic[QueryOf]):
    """A request after authentication and parsing; `caller` is None at an endpoint without a key."""

    request: Request
    query: QueryOf
    caller: Principal | None
    threads: Executor | None

    @property
    def principal(self) -> Principal:
        """The caller of an endpoint that needs a right."""
        assert self.caller is not None, "the endpoint names no right"
        return self.caller

    @property
    def tenancy(self) -> Tenancy:
        """The organisation and project of the caller."""
        return self.principal.tenancy

    async def in_thread(
        self, function: Callable[Arguments, Result], *arguments: Arguments.args, **named: Arguments.kwargs
    ) -> Result:
        """Run blocking work of an asynchronous handler outside the event loop."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.threads, lambda: function(*arguments, **named))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One status that an endpoint answers with; `model` is the type of the JSON body, None without a body."""

    description: str
    model: Any = None
    headers: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint(Generic[Resources]):
    """A row of an application's table of routes.

    A plain handler runs in a thread and may block; an `async` one runs in the event loop and may not.
    `operation_id` is the handler's name; its docstring becomes the description. `body` maps a media type
    to a type, or to a JSON Schema. `headers` are parameters as OpenAPI writes them.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    path: str
    handler: Callable[[Resources, Call[Any]], Response | Awaitable[Response]]
    tag: str
    answers: Mapping[int, Answer]
    right: Right | None = None
    query: type[Any] | None = None
    errors: Mapping[int, str] = field(default_factory=dict)
    headers: tuple[Mapping[str, Any], ...] = ()
    body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def operation_id(self) -> str:
        """The name of the operation in the OpenAPI document, and in clients made from it."""
        return self.handler.__name__

    def bind(self, resources: Resources, authorizer: Authorizer, threads: Executor | None) -> Answering:
        """Return what answers a request: authenticate, parse, call the handler."""
        handler: Callable[[Resources, Call[Any]], Any] = self.handler
        right = self.right
        read_query = query_reader(self.query) if self.query else None
        is_async = asyncio.iscoroutinefunction(handler)

        async def answer(request: Request) -> Response:
            caller = await authorizer.admit(request, right) if right else None
            query = read_query(request) if read_query else None
            call = Call(request, query, caller, threads)
            response: Response
            if is_async:
                response = await handler(resources, call)
            else:
                work = asyncio.get_running_loop().run_in_executor(threads, handler, resources, call)
                response = await unless_abandoned(request.receive, work)
            return response

        return answer
