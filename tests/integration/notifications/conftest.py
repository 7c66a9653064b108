"""Incidents, destinations and a notifier over real PostgreSQL and real receivers."""

import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import pytest
from cryptography.fernet import Fernet, MultiFernet
from psycopg_pool import ConnectionPool

from signals.clients.outbound.senders import Sender
from signals.clients.postgres import Connection
from signals.clients.sealing import Seal
from signals.domain.access.principal import Principal
from signals.domain.access.scopes import RIGHTS, Scope
from signals.domain.notifications.addresses import AllowList
from signals.domain.notifications.route_fields import RouteFields
from signals.services.access.provisioning import create_org, create_project
from signals.services.notifications.delivery import Delivery
from signals.services.notifications.destination_bodies import NewDestination
from signals.services.notifications.destinations import Destinations
from signals.services.notifications.notifier import Notifier
from signals.services.notifications.routes import Routes
from tests.support.events import TENANCY
from tests.support.receivers import HttpReceiver, http_receiver
from tests.support.waiting import until

LOOPBACK = AllowList.parse("127.0.0.0/8, ::1")
TLS = ssl.create_default_context()  # once: it reads the whole file of CAs
TIMEOUT_S = 20.0  # of the receivers here each answers at once, or must hold the sender
CALLER = Principal(key_id=uuid4(), tenancy=TENANCY, rights=RIGHTS[Scope.READ], standing=Scope.READ)

INSERT = """
INSERT INTO incidents (id, org_id, project_id, environment, fingerprint, status, severity, title, opened_at,
                       last_seen_at)
VALUES (%(id)s, 'org_1', 'proj_1', 'prod', %(fingerprint)s, 'open', %(severity)s, %(title)s, now(), now())
"""
SUMMARY = """
INSERT INTO ai_outputs (id, incident_id, output_type, model, content_json, created_at)
VALUES (%s, %s, 'summary', 'test', '{"impact": "Checkout is down.", "likely_causes": ["A deploy"]}', now())
"""


@dataclass(slots=True)
class World:
    """A project and its verbs: open and change incidents, create destinations, run notifiers."""

    pool: ConnectionPool[Connection]
    seal: Seal
    sender: Sender
    chance: Callable[[], float] = field(default=lambda: 0.0)

    @property
    def destinations(self) -> Destinations:
        """The project's destinations."""
        return Destinations(self.pool, self.seal, self.sender)

    def destination(
        self, target: dict[str, Any], *, route: dict[str, Any] | None = None, **fields: Any
    ) -> UUID:
        """Create a destination and a route to it; `route` None means all that is confirmed."""
        body = {"name": f"d{uuid4().hex[:8]}", "target": target, **fields}
        new = NewDestination.model_validate(body)
        destination_id = self.destinations.create(CALLER, new).destination.id
        if route is None or route:
            wanted = RouteFields.model_validate({"destination_id": destination_id, **(route or {})})
            Routes(self.pool).create(CALLER, wanted)
        return destination_id

    def webhook(self, receiver: HttpReceiver, **fields: Any) -> UUID:
        """Create a webhook with a route of its own."""
        return self.destination({"kind": "webhook", "url": f"{receiver.url}/hook"}, **fields)

    def slack(self, receiver: HttpReceiver, **fields: Any) -> UUID:
        """Create a Slack bot with a route of its own."""
        target = {"kind": "slack", "channel": "#ops", "token": "xoxb-1", "api_url": f"{receiver.url}/api"}
        return self.destination(target, **fields)

    def pagerduty(self, receiver: HttpReceiver, **fields: Any) -> UUID:
        """Create a PagerDuty service with a route of its own."""
        target = {"kind": "pagerduty", "routing_key": "R" * 32, "api_url": f"{receiver.url}/v2/enqueue"}
        return self.destination(target, **fields)

    def open(self, title: str = "TIMEOUT at /checkout", severity: str = "error") -> UUID:
        """Open an incident, as the engine does."""
        incident_id = uuid4()
        values = {
            "id": incident_id,
            "fingerprint": f"{incident_id}|/x|prod",
            "title": title,
            "severity": severity,
        }
        with self.pool.connection() as connection:
            connection.execute(INSERT, values)
        return incident_id

    def set(self, incident_id: UUID, **columns: object) -> None:
        """Change columns of an incident."""
        with self.pool.connection() as connection:
            for name, value in columns.items():
                connection.execute(f"UPDATE incidents SET {name} = %s WHERE id = %s", [value, incident_id])
            if columns.get("status") == "resolved":
                connection.execute("UPDATE incidents SET resolved_at = now() WHERE id = %s", [incident_id])

    def summarize(self, incident_id: UUID) -> None:
        """Store a summary, as an ai-worker does."""
        with self.pool.connection() as connection:
            connection.execute(SUMMARY, [uuid4(), incident_id])

    def delivery(self) -> Delivery:
        """Return what a notifier leases, sends and records with."""
        return Delivery(self.pool, self.seal, self.sender, link_url="", chance=self.chance)

    def notifier(self) -> Notifier:
        """Return a notifier; the caller enters it."""
        return Notifier(self.pool, self.delivery())

    def run(self, *, within_s: float = 90.0) -> None:
        """Run one notifier until nothing is due."""
        with self.notifier() as notifier:
            until(lambda: notifier.step(0.05) == 0 and self.is_quiet(), within_s=within_s, every_s=0.0)

    def rows(self, query: str, *values: object) -> list[Any]:
        """Return rows of a query."""
        with self.pool.connection() as connection:
            return connection.execute(query, values).fetchall()

    def is_quiet(self) -> bool:
        """Whether every change is planned, and no message is due or under way."""
        [(waiting,)] = self.rows(
            "SELECT (SELECT count(*) FROM pipeline.incident_changes WHERE planned_at IS NULL)"
            " + (SELECT count(*) FROM pipeline.notices WHERE status = 'running'"
            "    OR (status = 'queued' AND run_after <= now()))"
        )
        return bool(waiting == 0)


@pytest.fixture
def world(pool: ConnectionPool[Connection]) -> World:
    """A project with nothing in it yet."""
    create_org(pool, TENANCY.org_id, "An organisation")
    create_project(pool, TENANCY.project_id, org_id=TENANCY.org_id, name="A project")
    seal = Seal(MultiFernet([Fernet(Fernet.generate_key())]))
    return World(pool=pool, seal=seal, sender=Sender(LOOPBACK, timeout_s=TIMEOUT_S, tls=TLS))


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    """An HTTP server that keeps what it gets."""
    with http_receiver() as receiver:
        yield receiver


@pytest.fixture
def other() -> Iterator[HttpReceiver]:
    """Another one."""
    with http_receiver() as receiver:
        yield receiver
