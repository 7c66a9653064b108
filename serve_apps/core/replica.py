"""core-api: the application, and the replica that hosts it."""

from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from psycopg_pool import ConnectionPool
from ray import serve
from starlette.types import ASGIApp

from actors.names import expected
from serve_apps.core.console_hosting import console_resources, console_routes
from serve_apps.core.ingest_stand_in import IngestStandIn
from serve_apps.core.requests import CoreResources
from serve_apps.core.routes import ENDPOINTS, documentation
from serve_apps.http.application import build_application
from serve_apps.http.authorization import Authorizer
from serve_apps.http.rotating import renewed
from serve_apps.http.short_road import Places, host
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
from signals.garbage import collect_less_often
from signals.logs import configure_logs
from signals.periodic import repeated_in_task
from signals.ray_node.loopback import listen_on_loopback_only
from signals.rotation import Rotation, SettingsKind
from signals.serve_applications import ConsolePlacement
from signals.services.access.audit_trail import AuditTrail
from signals.services.access.authentication import LAST_USED_EVERY_S, KeyAuthenticator
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
    ConsoleSettings,
    ConsumerSettings,
    KafkaSettings,
    ModelSettings,
    NotificationSettings,
    OpenSearchSettings,
    PeopleSettings,
    PostgresSettings,
    RuntimeSettings,
)

THREADS: Final = 40  # as many as AnyIO's; its own end with each request in a replica, these stay
PLACES: Final = Places(running=100, waiting=200)
CONNECTIONS: Final = 8  # guess: requests that wait on one server at once; others queue for a connection


def build_core_api(resources: CoreResources, stand_in: IngestStandIn | None = None) -> ASGIApp:
    """Build the application; its document describes ingest-api as well, and no page of the console.

    `stand_in` takes requests of ingest-api.
    """
    threads = ThreadPoolExecutor(THREADS, thread_name_prefix="reading")

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        async with repeated_in_task(
            resources.authenticator.flush_last_used, every_s=LAST_USED_EVERY_S, name="last use of keys"
        ):
            yield
        if stand_in is not None:
            await stand_in.close()
        threads.shutdown()

    authorizer = Authorizer(resources.authenticator, threads)
    return build_application(
        (*ENDPOINTS, *documentation()),
        resources,
        authorizer,
        lifespan=lifespan,
        threads=threads,
        further_routes=(
            *console_routes(resources, authorizer, threads),
            *(stand_in.routes() if stand_in else ()),
        ),
    )


def open_core_resources(stack: ExitStack, console: ConsolePlacement = "core") -> CoreResources:
    """Open what the routes need, as the environment says, and what the pages need in `core`.

    `stack` closes it.

    Raises:
        SettingsError: naming the variable at fault.
    """
    rotation = Rotation((PostgresSettings, OpenSearchSettings))
    pool = stack.enter_context(postgres.open_pool(PostgresSettings.from_env, size=CONNECTIONS))
    client = stack.enter_context(
        opensearch.open_client(OpenSearchSettings.from_env(), connections=CONNECTIONS)
    )
    ledger_audit = LedgerAudit(pool)
    partition_lags = PartitionLags(pool, KafkaSettings.from_env, GROUPS)
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
    renewals: dict[SettingsKind, Callable[[], None]] = {
        PostgresSettings: partial(postgres.renew, pool),
        OpenSearchSettings: lambda: opensearch.renew(
            client, OpenSearchSettings.from_env(), connections=CONNECTIONS
        ),
    }
    stack.enter_context(renewed(rotation, renewals))
    event_search = EventSearch(client)
    comparison = ComparisonSource(
        compare=partial(compare, client), labels_since=partial(labels_since, client)
    )
    tools = ToolSources(pool=pool, events=event_search, comparison=comparison)
    core = CoreResources(
        ledger_audit=ledger_audit,
        audit_trail=AuditTrail(pool),
        authenticator=KeyAuthenticator(pool, cache_s=RuntimeSettings.from_env().key_cache_s),
        destinations=open_destinations(pool),
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
        placement=console,
    )
    if console != "core":
        return core
    return replace(core, console=console_resources(core, pool, PeopleSettings.from_env()))


def open_destinations(pool: ConnectionPool[Connection]) -> Destinations:
    """Open the destinations as the environment says.

    Raises:
        SettingsError: naming the variable at fault.
    """
    settings = NotificationSettings.from_env()
    return Destinations(pool, open_seal(settings), open_sender(settings))


class OpenedReplica:
    """A replica of core-api or of the console: it opens what they need in its own process."""

    def __init__(self, console: ConsolePlacement) -> None:
        self._stack = ExitStack()
        configure_logs()
        collect_less_often()
        listen_on_loopback_only()
        self.resources = open_core_resources(self._stack, console)

    def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Expect as many consumers as the supervisor, which gets the same `user_config`, keeps."""
        self.resources.readiness.expect(list(expected(user_config, ConsumerSettings.from_env())))

    def __del__(self) -> None:
        self._stack.close()


@serve.deployment(
    name="core-api",
    max_ongoing_requests=PLACES.running,
    max_queued_requests=PLACES.waiting,
    user_config={},
    max_surge_percent=100,  # an upgrade in place starts the new replica before the old one leaves
    graceful_shutdown_timeout_s=10,
    health_check_period_s=1,  # how late Serve sees that a replica is dead; 10 by default
    logging_config={"log_level": "WARNING"},  # below it are Serve's own lines, one a request
    ray_actor_options={"num_cpus": 0.1},
)
@serve.ingress()
class CoreApi(OpenedReplica):
    """The replica that hosts the API; `console` of Serve's configuration wins over the environment."""

    def __init__(self, console: ConsolePlacement | None = None) -> None:
        super().__init__(console or ConsoleSettings.from_env().signals_console)
        self._stand_in = IngestStandIn()

    def __serve_build_asgi_app__(self) -> ASGIApp:  # Ray Serve's name for it
        return host(build_core_api(self.resources, self._stand_in), PLACES)

    def check_health(self) -> None:
        """Let Serve replace a replica that stands in for ingest-api with a producer that gave up for good."""
        self._stand_in.check()
