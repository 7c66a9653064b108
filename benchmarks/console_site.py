"""The console before much data: servers, a person who is signed in, core-api behind HAProxy and Serve."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

import psycopg

from benchmarks.bodies import written_once
from benchmarks.core_load import Load, Server, on_serve, opensearch_of
from benchmarks.rounds import Plan, Round
from benchmarks.servers import Servers, open_servers
from benchmarks.stored_data import PROJECT, load_events, newest_incidents, write_incidents
from serve_apps.console.cookies import LOOPBACK_NAME
from serve_apps.console.pages import project_path
from shared_types import Tenancy
from signals.clients.kafka.connection import ensure_topics
from signals.clients.opensearch import EVENTS_INDEX
from signals.clients.postgres import conninfo, open_pool, transaction
from signals.domain.access.people import Role
from signals.domain.access.scopes import Scope
from signals.services.access.people import add_person
from signals.services.access.provisioning import create_org, create_project, issue_key
from signals.services.access.signing_in import open_session
from signals.services.incidents.settling import Settling
from signals.settings import PostgresSettings

TENANT: Final = Tenancy("org_bench", PROJECT)
BASE: Final = project_path(PROJECT)
SPAN: Final = timedelta(hours=24)  # of the events: what the search page shows first
OPENED: Final = 100  # incidents read in turn
TAKES_GZIP: Final = "Accept-Encoding: gzip\r\n"  # as every browser says


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """How much the console stands before."""

    incidents: int
    events: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleSite:
    """core-api with its console, the data behind it, and who may read both.

    `token` is the session of a responder, `key` a read key of the same project.
    """

    plan: Plan
    servers: Servers
    core: Server
    database: PostgresSettings
    environment: Mapping[str, str]
    token: str
    key: str
    incidents: Sequence[UUID]

    @property
    def url(self) -> str:
        """The beginning of every address."""
        return f"http://127.0.0.1:{self.core.port}"

    @property
    def seconds(self) -> int:
        """Seconds of a round."""
        return self.plan.pick(full=4, quick=3, tiny=3)

    def open_pages(self, name: str, addresses: Sequence[str]) -> Round:
        """Measure pages of the project in turn, as the browser of a signed-in person asks for them."""
        cookie = f"Cookie: {LOOPBACK_NAME}={self.token}\r\n"
        load = Load(
            bodies=self._written(name, [(BASE + address).encode() for address in addresses]),
            connections=1,
            seconds=self.seconds,
            method="GET",
            headers=cookie + TAKES_GZIP,
        )
        return load.on(self.core, self.servers.meters(), self.plan.folder)

    def ask_api(self, name: str, addresses: Sequence[str]) -> Round:
        """Measure the JSON API's answers to these addresses in turn."""
        load = Load(
            bodies=self._written(f"{name}-api", [address.encode() for address in addresses]),
            connections=1,
            seconds=self.seconds,
            method="GET",
            key=self.key,
            headers=TAKES_GZIP,
        )
        return load.on(self.core, self.servers.meters(), self.plan.folder)

    def ask_opensearch(self, name: str, bodies: Sequence[bytes]) -> Round:
        """Measure the same searches posted to OpenSearch itself."""
        load = Load(
            bodies=self._written(f"{name}-alone", bodies),
            connections=1,
            seconds=self.seconds,
            path=f"/{EVENTS_INDEX}/_search",
        )
        return load.on(opensearch_of(self.servers), {}, self.plan.folder)

    def _written(self, name: str, bodies: Sequence[bytes]) -> Path:
        return written_once(self.plan.folder / f"bodies-{name}", iter(bodies))


@contextmanager
def open_site(plan: Plan, stored: Stored) -> Iterator[ConsoleSite]:
    """Start servers and core-api, and store the data; all is gone at the end of the block."""
    with open_servers(plan, "postgres", "kafka", "opensearch") as servers:
        kafka = servers.kafka()
        ensure_topics(kafka)
        servers.prepare_template()
        with servers.fresh_database() as database:
            token, key = _provision(database)
            write_incidents(database, stored.incidents)
            _group(database)
            load_events(servers.opensearch(), stored.events, span=SPAN)
            environment = {
                "DATABASE_URL": database.database_url.get_secret_value(),
                "PG_SSLMODE": "disable",
                "OPENSEARCH_URL": servers.opensearch().opensearch_url,
                "KAFKA_BROKERS": kafka.kafka_brokers,
                "KAFKA_GROUP_PROTOCOL": kafka.kafka_group_protocol,
            }
            with on_serve("core", "/healthz", environment, plan.folder / "ray") as core:
                yield ConsoleSite(
                    plan=plan,
                    servers=servers,
                    core=core,
                    database=database,
                    environment=environment,
                    token=token,
                    key=key,
                    incidents=newest_incidents(database, OPENED),
                )


def _provision(database: PostgresSettings) -> tuple[str, str]:
    """Create the project; return a session of a person there, and a read key."""
    with open_pool(database, size=1) as pool:
        create_org(pool, TENANT.org_id, "Bench")
        create_project(pool, PROJECT, org_id=TENANT.org_id, name="Bench")
        user_id = add_person(
            pool, "ann@bench.example", org_id=TENANT.org_id, role=Role.RESPONDER, actor="cli:bench"
        )
        with transaction(pool) as connection:
            token = open_session(connection, user_id, browser="bench", made_by="link")
        return token, issue_key(pool, PROJECT, Scope.READ).text


def _group(database: PostgresSettings) -> None:
    """Give every incident an outage of its own, as after an update from a release without outages."""
    with open_pool(database, size=1) as pool:
        Settling(pool).round()
    with psycopg.connect(conninfo(database), autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
