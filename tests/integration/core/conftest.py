"""core-api over real PostgreSQL and OpenSearch, with two tenants that must never meet."""

import ssl
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from uuid import UUID, uuid4

import pytest
from cryptography.fernet import Fernet, MultiFernet
from psycopg_pool import ConnectionPool
from starlette.testclient import TestClient

from serve_apps.core.replica import build_core_api
from serve_apps.core.requests import CoreResources
from shared_types import Envelope, Tenancy
from signals.clients.llm import open_model
from signals.clients.opensearch import EVENTS_INDEX
from signals.clients.opensearch.comparison import compare
from signals.clients.opensearch.connection import Client
from signals.clients.opensearch.index import BulkVerdict, bulk_create, labels_since
from signals.clients.opensearch.search import EventSearch
from signals.clients.outbound.senders import Sender
from signals.clients.postgres import Connection
from signals.clients.sealing import Seal
from signals.domain.access.scopes import Scope
from signals.domain.findings.labels import LabelPolicy
from signals.domain.notifications.addresses import AllowList
from signals.logs import configure_logs
from signals.services.access.audit_trail import AuditTrail
from signals.services.access.authentication import KeyAuthenticator
from signals.services.access.provisioning import create_org, create_project, issue_key
from signals.services.deploys.views import Deploys
from signals.services.detection.rule_preview import RulePreviewer
from signals.services.detection.rule_registry import RuleRegistry
from signals.services.detection.why_not import WhyNotFinder
from signals.services.events.project_doors import DoorSettingsEditor
from signals.services.events.search import EventFinder
from signals.services.grouping import group
from signals.services.incidents.names import Names
from signals.services.incidents.outage_views import Outages
from signals.services.incidents.outage_work import OutageWork
from signals.services.incidents.settling import Settling
from signals.services.incidents.views import Incidents
from signals.services.indexing.labelling import Labeller
from signals.services.ledger.audit import GROUPS, LedgerAudit
from signals.services.notifications.destinations import Destinations
from signals.services.notifications.maintenance import MaintenanceWindows
from signals.services.notifications.notices import Notices
from signals.services.notifications.routes import Routes
from signals.services.operations.partition_lag import PartitionLags
from signals.services.operations.readiness import DependencyCheck, ReadinessCheck
from signals.services.summary.comparing import ComparisonSource
from signals.services.summary.feedback import FeedbackBook
from signals.services.summary.questions import Questions
from signals.services.summary.toolbox import ToolSources
from signals.settings import KafkaSettings, ModelSettings
from tests.support.events import NOON, TENANCY

OTHER = Tenancy("org_2", "proj_2")
FINGERPRINT = "TIMEOUT|/checkout|prod"
OpenIncident = Callable[..., UUID]
SEAL = Seal(MultiFernet([Fernet(Fernet.generate_key())]))
LOOPBACK = AllowList.parse("127.0.0.0/8, ::1")
TLS = ssl.create_default_context()  # once: it reads the whole file of CAs
OpenOutage = Callable[..., UUID]


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The text of one key each."""

    read: str
    ingest: str
    other_read: str
    admin: str
    other_admin: str


@pytest.fixture(scope="session", autouse=True)
def _logs() -> None:
    """Log as the product does; structlog's own default draws every local variable of a traceback."""
    configure_logs()


@pytest.fixture
def keys(pool: ConnectionPool[Connection]) -> Keys:
    """Two organisations with a project each, and their keys."""
    for tenancy in (TENANCY, OTHER):
        create_org(pool, tenancy.org_id, "An organisation")
        create_project(pool, tenancy.project_id, org_id=tenancy.org_id, name="A project")
    return Keys(
        read=issue_key(pool, TENANCY.project_id, Scope.READ).text,
        ingest=issue_key(pool, TENANCY.project_id, Scope.INGEST).text,
        other_read=issue_key(pool, OTHER.project_id, Scope.READ).text,
        admin=issue_key(pool, TENANCY.project_id, Scope.ADMIN).text,
        other_admin=issue_key(pool, OTHER.project_id, Scope.ADMIN).text,
    )


def core_resources(
    pool: ConnectionPool[Connection], opensearch: Client, servers: dict[str, DependencyCheck]
) -> CoreResources:
    """Return the resources of core-api on these servers; `readiness` is to be closed."""
    ledger_audit = LedgerAudit(pool)
    partition_lags = PartitionLags(pool, KafkaSettings.from_env, GROUPS)
    readiness = ReadinessCheck(pool, servers, ledger_audit.audit, partition_lags.read)
    event_search = EventSearch(opensearch)
    comparison = ComparisonSource(
        compare=partial(compare, opensearch, stop_s=60), labels_since=partial(labels_since, opensearch)
    )
    tools = ToolSources(pool=pool, events=event_search, comparison=comparison)
    return CoreResources(
        ledger_audit=ledger_audit,
        audit_trail=AuditTrail(pool),
        authenticator=KeyAuthenticator(pool),
        destinations=Destinations(pool, SEAL, Sender(LOOPBACK, timeout_s=5, tls=TLS)),
        incidents=Incidents(pool),
        deploys=Deploys(pool, lambda: datetime.now(UTC)),
        rule_registry=RuleRegistry(pool),
        rule_previewer=RulePreviewer(pool),
        why_not=WhyNotFinder(pool),
        outages=Outages(pool),
        outage_work=OutageWork(pool),
        maintenance=MaintenanceWindows(pool),
        names=Names(pool),
        event_finder=EventFinder(event_search),
        feedback=FeedbackBook(pool),
        notices=Notices(pool),
        questions=Questions(tools, open_model, ModelSettings.from_env),
        door_settings=DoorSettingsEditor(pool),
        partition_lags=partition_lags,
        readiness=readiness,
        routes=Routes(pool),
    )


@contextmanager
def core_client(
    pool: ConnectionPool[Connection],
    opensearch: Client,
    *,
    servers: dict[str, DependencyCheck] | None = None,
    expected: Iterable[str] = (),
) -> Iterator[TestClient]:
    """Serve core-api in this process; a crash becomes a 500, as it would be outside."""
    resources = core_resources(pool, opensearch, servers or {})
    resources.readiness.expect(list(expected))
    with TestClient(build_core_api(resources), raise_server_exceptions=False) as client:
        yield client
    resources.readiness.close()


@pytest.fixture
def anonymous(pool: ConnectionPool[Connection], opensearch: Client) -> Iterator[TestClient]:
    """A client without a key."""
    with core_client(pool, opensearch) as client:
        yield client


@pytest.fixture
def reader(anonymous: TestClient, keys: Keys) -> TestClient:
    """A client with the read key of proj_1."""
    anonymous.headers["Authorization"] = f"Bearer {keys.read}"
    return anonymous


@pytest.fixture
def open_incident(pool: ConnectionPool[Connection]) -> OpenIncident:
    """Writes one incident row."""

    def insert(at: datetime = NOON, tenancy: Tenancy = TENANCY, **columns: object) -> UUID:
        row = {
            "id": uuid4(),
            "org_id": tenancy.org_id,
            "project_id": tenancy.project_id,
            "environment": "prod",
            "fingerprint": FINGERPRINT,
            "status": "open",
            "severity": "error",
            "title": "Checkout fails",
            "opened_at": at,
            "last_seen_at": at,
            "resolved_at": None,
        } | columns
        with pool.connection() as connection:
            connection.execute(
                """INSERT INTO incidents (id, org_id, project_id, environment, fingerprint, status, severity,
                       title, opened_at, last_seen_at, resolved_at)
                   VALUES (%(id)s, %(org_id)s, %(project_id)s, %(environment)s, %(fingerprint)s, %(status)s,
                           %(severity)s, %(title)s, %(opened_at)s, %(last_seen_at)s, %(resolved_at)s)""",
                row,
            )
        assert isinstance(row["id"], UUID)
        return row["id"]

    return insert


def index(opensearch: Client, events: Iterable[Envelope]) -> None:
    """Put events into the index as the indexer would, visible at once."""
    labeller = Labeller(LabelPolicy())
    documents = [
        (str(event.event_id), data[:-1] + labeller.members(event.project_id, data) + b"}")
        for event in events
        for data in [event.to_json()]
    ]
    assert {item.verdict for item in bulk_create(opensearch, documents)} <= {BulkVerdict.CREATED}
    opensearch.indices.refresh(index=EVENTS_INDEX)


@pytest.fixture
def open_outage(pool: ConnectionPool[Connection], open_incident: OpenIncident) -> OpenOutage:
    """Writes incidents that open together, and groups them; returns the first one's outage."""

    def insert(
        *fingerprints: str, at: datetime = NOON, tenancy: Tenancy = TENANCY, **columns: object
    ) -> UUID:
        names = fingerprints or (FINGERPRINT,)
        ids = [
            open_incident(at, tenancy, fingerprint=name, title=f"{name} fails", **columns) for name in names
        ]
        with pool.connection() as connection:
            group(connection, ids)
            found = connection.execute(
                "SELECT outage_id FROM pipeline.outage_members WHERE incident_id = %s", [ids[0]]
            ).fetchone()
        assert found
        assert isinstance(found[0], UUID)
        return found[0]

    return insert


@pytest.fixture
def settle(pool: ConnectionPool[Connection]) -> Callable[[], None]:
    """Lets twelve minutes pass, and settles windows."""

    def later() -> None:
        with pool.connection() as connection:
            connection.execute("UPDATE pipeline.outages SET created_at = created_at - interval '12 minutes'")
        Settling(pool).round()

    return later
