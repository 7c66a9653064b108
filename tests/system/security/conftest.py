"""Both APIs behind one real HTTP server, over real PostgreSQL, Kafka and OpenSearch."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import uvicorn
from psycopg_pool import ConnectionPool
from starlette.types import ASGIApp, Receive, Scope, Send

from shared_types import Tenancy
from signals.clients.kafka.publisher import Publisher
from signals.clients.opensearch.connection import Client
from signals.clients.postgres import Connection
from signals.domain.access import scopes
from signals.services.access.provisioning import create_org, create_project, issue_key
from tests.integration.core.conftest import OTHER, core_client
from tests.integration.ingest.conftest import ingest_client
from tests.support.events import TENANCY
from tests.support.waiting import until

IDLE_S = 60  # a client that takes longer than uvicorn's 5 s between two requests meets a closed connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """Where both APIs answer, and the keys of two tenants that must never meet."""

    base_url: str
    read: str
    ingest: str
    public: str
    other_read: str
    other_ingest: str
    admin: str
    other_admin: str


@contextmanager
def served(app: ASGIApp, listener: socket.socket | None = None) -> Iterator[str]:
    """Serve an application by uvicorn, as Ray Serve does, at `listener` or a free port; yield its address."""
    with listener or socket.create_server(("127.0.0.1", 0)) as own:
        config = uvicorn.Config(
            app,
            lifespan="off",
            log_level="warning",
            timeout_graceful_shutdown=5,
            timeout_keep_alive=IDLE_S,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([own],))
        thread.start()
        until(lambda: server.started, within_s=60)
        yield f"http://127.0.0.1:{own.getsockname()[1]}"
        server.should_exit = True
        thread.join()


@pytest.fixture
def surface(pool: ConnectionPool[Connection], publisher: Publisher, opensearch: Client) -> Iterator[Surface]:
    """The two APIs at one address, as behind Serve's proxy."""
    for tenancy in (TENANCY, OTHER):
        create_org(pool, tenancy.org_id, "An organisation")
        create_project(pool, tenancy.project_id, org_id=tenancy.org_id, name="A project")

    def key(tenancy: Tenancy, scope: scopes.Scope) -> str:
        return issue_key(pool, tenancy.project_id, scope).text

    with (
        core_client(pool, opensearch) as core,
        ingest_client(pool, publisher, answer_within_s=60.0) as ingest,
        served(one_address(core.app, ingest.app)) as base_url,
    ):
        yield Surface(
            base_url=base_url,
            read=key(TENANCY, scopes.Scope.READ),
            ingest=key(TENANCY, scopes.Scope.INGEST),
            public=key(TENANCY, scopes.Scope.PUBLIC),
            other_read=key(OTHER, scopes.Scope.READ),
            other_ingest=key(OTHER, scopes.Scope.INGEST),
            admin=key(TENANCY, scopes.Scope.ADMIN),
            other_admin=key(OTHER, scopes.Scope.ADMIN),
        )


def one_address(core: ASGIApp, ingest: ASGIApp) -> ASGIApp:
    """Send each path to the app that Serve would send it to."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        is_ingest = path == "/v1/events" or path.startswith("/v1/events/")
        await (ingest if is_ingest else core)(scope, receive, send)

    return app
