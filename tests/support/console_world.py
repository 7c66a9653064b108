"""An installation in the middle of an outage: what the console's tests, and its pictures, look at."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, LiteralString
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool
from pydantic import SecretStr
from starlette.types import ASGIApp

from serve_apps.core.console_hosting import console_resources
from serve_apps.core.replica import build_core_api
from shared_types import Envelope, Tenancy, canonicalize
from signals.clients.opensearch.connection import Client, check_reachable
from signals.clients.outbound.senders import Sender
from signals.clients.postgres import Connection, transaction
from signals.domain.access.people import PersonInProject
from signals.domain.deploys.deploy import Deploy
from signals.domain.notifications.route_fields import RouteFields
from signals.domain.notifications.targets import WebhookTarget
from signals.services.access.provisioning import create_org, create_project
from signals.services.grouping import group
from signals.services.notifications.destination_bodies import NewDestination
from signals.services.notifications.destinations import Destinations
from signals.services.notifications.routes import Routes
from signals.services.summary import IncidentSummarizer, Policy
from signals.settings import ModelSettings, PeopleSettings
from signals.store.deploys import deploys
from signals.store.incidents import outage_states
from signals.store.summary import ai_jobs
from tests.integration.core.conftest import LOOPBACK, SEAL, TLS, core_resources

SHOP: Final = Tenancy("demo", "shop")
FINGERPRINT: Final = "PRICE_MISSING|/cart|prod"
MESSAGE: Final = "TypeError: unsupported operand: price of line item is None"
RELEASES: Final = ("2026.11.29.1", "2026.11.28.3")
REGIONS: Final = ("fra1", "nyc3", "sgp1")

INCIDENT: LiteralString = """
INSERT INTO incidents (id, org_id, project_id, environment, fingerprint, status, severity, title, opened_at,
                       last_seen_at, resolved_at)
VALUES (%(id)s, %(org_id)s, %(project_id)s, %(environment)s, %(fingerprint)s, %(status)s, %(severity)s,
        %(title)s, %(opened_at)s, %(last_seen_at)s, %(resolved_at)s)
"""
EVALUATION: LiteralString = """
INSERT INTO pipeline.incident_evaluations (incident_id, moment, rule, minute_at, count, baseline, threshold,
                                           window_minutes)
VALUES (%(id)s, %(moment)s, 'error_spike', %(minute_at)s, %(count)s, %(baseline)s, %(threshold)s, 5)
"""
BUCKET: LiteralString = """
INSERT INTO metrics_buckets (org_id, project_id, environment, metric_name, fingerprint, bucket_start,
                             bucket_seconds, value, updated_at)
VALUES (%(org_id)s, %(project_id)s, 'prod', 'error_count', %(fingerprint)s, %(at)s, 60, %(value)s, now())
"""
EVENT: LiteralString = """
INSERT INTO incident_events (incident_id, event_id, occurred_at, event_type, severity, attributes_json)
VALUES (%(id)s, %(event_id)s, %(at)s, 'error', 'error', %(attributes)s)
"""
# As settling.py leaves an outage whose cause is decided.
DIVIDE: LiteralString = """
UPDATE pipeline.outages SET cause_attribute = 'error_code', cause_value = 'UPSTREAM_DOWN', fired_series = 3,
       active_series = 4, decided_at = now(), settled_at = now()
WHERE id = (SELECT DISTINCT outage_id FROM pipeline.outage_members WHERE incident_id = ANY(%(ids)s))
RETURNING id
"""
LEDGER: LiteralString = """
INSERT INTO pipeline.ledger (project_id, minute_at, stage, outcome, partition, events)
VALUES (%(project_id)s, %(at)s, %(stage)s, %(outcome)s, -1, %(events)s)
"""


@contextmanager
def console_app(
    pool: ConnectionPool[Connection], opensearch: Client, people: PeopleSettings | None = None
) -> Iterator[ASGIApp]:
    """Build core-api with the console."""
    core = core_resources(pool, opensearch, {"opensearch": lambda: check_reachable(opensearch)})
    pages = console_resources(core, pool, people or PeopleSettings())
    yield build_core_api(replace(core, placement="core", console=pages))
    core.readiness.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The ids that tests ask for; `events` are to be put into the index."""

    open_id: UUID
    investigating_id: UUID
    resolved_id: UUID
    outage_id: UUID
    deploy_id: UUID
    events: tuple[Envelope, ...]


def add_incident(pool: ConnectionPool[Connection], tenancy: Tenancy = SHOP, **columns: object) -> UUID:
    """Store one incident; columns that are not given are those of an open one of this minute."""
    now = datetime.now(UTC)
    row = {
        "id": uuid4(),
        "org_id": tenancy.org_id,
        "project_id": tenancy.project_id,
        "environment": "prod",
        "fingerprint": FINGERPRINT,
        "status": "open",
        "severity": "error",
        "title": "PRICE_MISSING on /cart in prod: 48 errors in 5 minutes, usually 0.2",
        "opened_at": now,
        "last_seen_at": now,
        "resolved_at": None,
    } | columns
    with transaction(pool) as connection:
        connection.execute(INCIDENT, row)
        group(connection, [UUID(str(row["id"]))])
        outage_states.note_work(connection, UUID(str(row["id"])))
    assert isinstance(row["id"], UUID)
    return row["id"]


def build_world(pool: ConnectionPool[Connection], tenancy: Tenancy = SHOP) -> World:
    """Store an outage that still goes on, one that a person looks at, and one that is over."""
    create_org(pool, tenancy.org_id, "Demo")
    create_project(pool, tenancy.project_id, org_id=tenancy.org_id, name="Demo shop")
    now = datetime.now(UTC).replace(second=20, microsecond=0)
    minute = now.replace(second=0)
    opened = minute - timedelta(minutes=37)
    open_id = add_incident(
        pool, tenancy, severity="critical", opened_at=opened + timedelta(seconds=12), last_seen_at=now
    )
    deploy_id = _deploy(pool, tenancy, opened - timedelta(minutes=5))
    events = _outage(pool, tenancy, open_id, opened, minute)
    investigating_id = add_incident(
        pool,
        tenancy,
        status="investigating",
        severity="warn",
        fingerprint="UPSTREAM_TIMEOUT|/search|prod",
        title="UPSTREAM_TIMEOUT on /search in prod: 34 errors in 5 minutes, usually 2.1",
        opened_at=opened - timedelta(hours=2),
        last_seen_at=now - timedelta(minutes=8),
    )
    resolved_id = add_incident(
        pool,
        tenancy,
        status="resolved",
        fingerprint="signup|prod",
        title="Signups dropped in prod: 4 in 15 minutes, usually 41",
        opened_at=opened - timedelta(hours=26),
        last_seen_at=opened - timedelta(hours=25),
        resolved_at=opened - timedelta(hours=24),
    )
    outage_id = _wide_outage(pool, tenancy, opened - timedelta(hours=4))
    events += _background(tenancy, minute)
    _ledger(pool, tenancy, minute)
    _summarize(pool)
    _destination(pool, tenancy)
    return World(
        open_id=open_id,
        investigating_id=investigating_id,
        resolved_id=resolved_id,
        outage_id=outage_id,
        deploy_id=deploy_id,
        events=tuple(events),
    )


def _outage(
    pool: ConnectionPool[Connection], tenancy: Tenancy, open_id: UUID, opened: datetime, until: datetime
) -> list[Envelope]:
    """Store buckets, numbers and events of an outage; return its events."""
    events: list[Envelope] = []
    with transaction(pool) as connection:
        at = opened - timedelta(minutes=60)
        n = 0
        while at < until:
            since = int((at - opened) / timedelta(minutes=1)) + 3
            value = 0 if since < 0 else min(12 + since * 9, 236) + (since * 37) % 23
            value = 1 if since < 0 and since % 19 == 0 else value
            if value:
                values = {"at": at, "value": value, "fingerprint": FINGERPRINT}
                connection.execute(
                    BUCKET, values | {"org_id": tenancy.org_id, "project_id": tenancy.project_id}
                )
            for i in range(min(value, 3) if since >= 0 else 0):
                n += 1
                attributes = {
                    "route": "/cart",
                    "method": "POST",
                    "status_code": 500,
                    "error_code": "PRICE_MISSING",
                    "release": RELEASES[n % 5 == 0],
                    "region": REGIONS[n % 3],
                }
                found = error(tenancy, at + timedelta(seconds=5 + i * 17), attributes)
                events.append(found)
                connection.execute(
                    EVENT,
                    {
                        "id": open_id,
                        "event_id": found.event_id,
                        "at": found.occurred_at,
                        "attributes": Jsonb(attributes | {"message": MESSAGE}),
                    },
                )
            at += timedelta(minutes=1)
        for moment, minute_at, count in (("opened", opened, 48), ("latest", until, 1142)):
            numbers = {"moment": moment, "minute_at": minute_at, "count": count}
            connection.execute(EVALUATION, {"id": open_id, "baseline": 0.2, "threshold": 30} | numbers)
        assert ai_jobs.enqueue(connection, job_id=uuid4(), incident_id=open_id)
    return events


def _wide_outage(pool: ConnectionPool[Connection], tenancy: Tenancy, opened: datetime) -> UUID:
    """Store an outage of three routes that fail with one code; return its id."""
    ids = []
    for n, route in enumerate(("/search", "/search/{id}", "/suggest")):
        fingerprint = f"UPSTREAM_DOWN|{route}|prod"
        at = opened + timedelta(seconds=n * 40)
        ids.append(
            add_incident(
                pool,
                tenancy,
                fingerprint=fingerprint,
                title=f"UPSTREAM_DOWN on {route} in prod: {61 - n * 9} errors in 5 minutes, usually 0.4",
                opened_at=at,
                last_seen_at=at + timedelta(minutes=9),
            )
        )
        with transaction(pool) as connection:
            for minute in range(10):
                values = {"at": opened + timedelta(minutes=minute), "value": 9 + (minute * 7 + n * 3) % 11}
                names = {"org_id": tenancy.org_id, "project_id": tenancy.project_id}
                connection.execute(BUCKET, values | names | {"fingerprint": fingerprint})
    with transaction(pool) as connection:
        row = connection.execute(DIVIDE, {"ids": ids}).fetchone()
    assert row is not None
    return UUID(str(row[0]))


def _deploy(pool: ConnectionPool[Connection], tenancy: Tenancy, at: datetime) -> UUID:
    deploy = Deploy(
        project_id=tenancy.project_id,
        event_id=uuid4(),
        environment="prod",
        release=RELEASES[0],
        previous=RELEASES[1],
        service="shop",
        status="success",
        by_whom=None,
        link=None,
        occurred_at=at,
        received_at=at,
    )
    with transaction(pool) as connection:
        deploys.insert_all(connection, [deploy])
    return deploy.event_id


def _background(tenancy: Tenancy, until: datetime) -> Iterator[Envelope]:
    """Make the few errors of an ordinary afternoon."""
    usual = (
        ("UPSTREAM_TIMEOUT", "/search", 504, "upstream search-2 did not answer within 2 s"),
        ("CARD_DECLINED", "/checkout", 402, "issuer declined the card"),
        ("NOT_FOUND", "/p/{id}", 404, "no such product"),
    )
    for n in range(150):
        code, route, status, message = usual[n * n % 7 % 3]
        at = until - timedelta(minutes=(n * 37 + n * n) % 350, seconds=(n * 13) % 50)
        attributes: dict[str, object] = {
            "route": route,
            "method": "GET",
            "status_code": status,
            "error_code": code,
            "release": RELEASES[1],
            "region": REGIONS[n % 3],
        }
        yield error(tenancy, at, attributes, message)


def error(tenancy: Tenancy, at: datetime, attributes: dict[str, object], message: str = MESSAGE) -> Envelope:
    """Make one canonical error event."""
    body = {
        "event_type": "error",
        "occurred_at": at.isoformat(),
        "environment": "prod",
        "severity": "error",
        "message": message,
        "attributes": attributes,
        "payload": {"basket": {"items": 3, "currency": "EUR"}, "worker": "web-4"},
    }
    return canonicalize(body, tenancy=tenancy, received_at=datetime.now(UTC), event_id=uuid4())


def _ledger(pool: ConnectionPool[Connection], tenancy: Tenancy, until: datetime) -> None:
    with transaction(pool) as connection:
        for age in range(58):
            at, count = until - timedelta(minutes=age), 2_400 + (age * 173) % 700
            for stage, outcome in (
                ("ingest-api", "accepted"),
                ("incident-engine", "counted"),
                ("indexer", "indexed"),
            ):
                values = {"at": at, "stage": stage, "outcome": outcome, "events": count}
                connection.execute(LEDGER, {"project_id": tenancy.project_id} | values)


def _destination(pool: ConnectionPool[Connection], tenancy: Tenancy) -> None:
    """Store a destination without a server, and its route."""
    caller = PersonInProject(tenancy=tenancy, actor="cli:test")
    target = WebhookTarget(kind="webhook", url=SecretStr("http://127.0.0.1:9/hook"))
    sender = Sender(LOOPBACK, timeout_s=5, tls=TLS)
    created = Destinations(pool, SEAL, sender).create(caller, NewDestination(name="ops", target=target))
    Routes(pool).create(caller, RouteFields(destination_id=created.destination.id))


def _summarize(pool: ConnectionPool[Connection]) -> None:
    """Let the built-in summarizer do the queued job."""
    with IncidentSummarizer(pool, None, Policy.of(ModelSettings()), chance=lambda: 0.0) as summarizer:
        assert summarizer.run_one() is not None
