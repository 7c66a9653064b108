"""Opens the resources of core-api and of the console's pages, as the environment says."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Final

from psycopg_pool import ConnectionPool

from serve_apps.core.console_hosting import console_resources
from serve_apps.core.requests import CoreResources
from serve_apps.http.rotating import renewed
from signals.clients import postgres
from signals.clients.kafka import connection as kafka
from signals.clients.llm import open_model
from signals.clients.opensearch import connection as opensearch
from signals.clients.opensearch.comparison import compare
from signals.clients.opensearch.index import labels_since
from signals.clients.opensearch.search import EventSearch
from signals.clients.outbound.senders import open_sender
from signals.clients.postgres import Connection
from signals.clients.sealing import open_seal
from signals.rotation import Rotation, SettingsKind
from signals.serve_applications import ConsolePlacement
from signals.services.access.audit_trail import AuditTrail
from signals.services.access.authentication import KeyAuthenticator
from signals.services.deploys.views import Deploys
from signals.services.detection.rule_preview import RulePreviewer
from signals.services.detection.rule_registry import RuleRegistry
from signals.services.detection.why_not import WhyNotFinder
from signals.services.events.project_doors import DoorSettingsEditor
from signals.services.events.search import EventFinder
from signals.services.incidents.names import Names
from signals.services.incidents.outage_views import Outages
from signals.services.incidents.outage_work import OutageWork
from signals.services.incidents.views import Incidents
from signals.services.ledger.audit import GROUPS, LedgerAudit
from signals.services.notifications.destinations import Destinations
from signals.services.notifications.maintenance import MaintenanceWindows
from signals.services.notifications.notices import Notices
from signals.services.notifications.routes import Routes
from signals.services.operations.partition_lag import PartitionLags
from signals.services.operations.readiness import ReadinessCheck
from signals.services.summary.comparing import ComparisonSource
from signals.services.summary.feedback import FeedbackBook
from signals.services.summary.questions import Questions
from signals.services.summary.toolbox import ToolSources
from signals.settings import (
    KafkaSettings,
    ModelSettings,
    NotificationSettings,
    OpenSearchSettings,
    PeopleSettings,
    PostgresSettings,
    RuntimeSettings,
)

CONNECTIONS: Final = 8  # guess: requests that wait on one server at once; others queue for a connection


def open_core_resources(stack: ExitStack, console: ConsolePlacement = "core") -> CoreResources:
    """Open what the routes need, as the environment says, and what the pages need in `core`.

    `stack` closes it.

    Raises:
        SettingsError: naming the variable at fault.
    """
    pool, client = _open_servers(stack)
    ledger_audit = LedgerAudit(pool)
    partition_lags = PartitionLags(pool, KafkaSettings.from_env, GROUPS)
    event_search = EventSearch(client)
    core = CoreResources(
        ledger_audit=ledger_audit,
        audit_trail=AuditTrail(pool),
        authenticator=KeyAuthenticator(pool, cache_s=RuntimeSettings.from_env().key_cache_s),
        destinations=_open_destinations(pool),
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
        questions=_questions(pool, client, event_search),
        door_settings=DoorSettingsEditor(pool),
        partition_lags=partition_lags,
        readiness=_open_readiness(stack, pool, client, ledger_audit, partition_lags),
        routes=Routes(pool),
        placement=console,
    )
    if console != "core":
        return core
    return replace(core, console=console_resources(core, pool, PeopleSettings.from_env()))


def _open_servers(stack: ExitStack) -> tuple[ConnectionPool[Connection], opensearch.Client]:
    """Connect to PostgreSQL and OpenSearch; both connections are renewed when their credentials rotate."""
    rotation = Rotation((PostgresSettings, OpenSearchSettings))
    pool = stack.enter_context(postgres.open_pool(PostgresSettings.from_env, size=CONNECTIONS))
    client = stack.enter_context(
        opensearch.open_client(OpenSearchSettings.from_env(), connections=CONNECTIONS)
    )
    renewals: dict[SettingsKind, Callable[[], None]] = {
        PostgresSettings: partial(postgres.renew, pool),
        OpenSearchSettings: lambda: opensearch.renew(
            client, OpenSearchSettings.from_env(), connections=CONNECTIONS
        ),
    }
    stack.enter_context(renewed(rotation, renewals))
    return pool, client


def _open_readiness(
    stack: ExitStack,
    pool: ConnectionPool[Connection],
    client: opensearch.Client,
    ledger_audit: LedgerAudit,
    partition_lags: PartitionLags,
) -> ReadinessCheck:
    """Open the check of every server and consumer behind the API."""
    readiness = ReadinessCheck(
        pool,
        {
            "kafka": lambda: kafka.check_reachable(KafkaSettings.from_env()),
            "opensearch": partial(opensearch.check_reachable, client),
        },
        ledger_audit.audit,
        partition_lags.read,
    )
    stack.callback(readiness.close)
    return readiness


def _questions(
    pool: ConnectionPool[Connection], client: opensearch.Client, event_search: EventSearch
) -> Questions:
    """Return the conversations about incidents; the model's tools search, compare and read."""
    comparison = ComparisonSource(
        compare=partial(compare, client), labels_since=partial(labels_since, client)
    )
    tools = ToolSources(pool=pool, events=event_search, comparison=comparison)
    return Questions(tools, open_model, ModelSettings.from_env)


def _open_destinations(pool: ConnectionPool[Connection]) -> Destinations:
    """Open the destinations of messages; the settings seal their secrets and say which hosts are allowed."""
    settings = NotificationSettings.from_env()
    return Destinations(pool, open_seal(settings), open_sender(settings))
