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
from serve_apps.console.live_feed import LiveFeed
from serve_apps.console.resources import ConsoleResources
from serve_apps.console.routes import endpoints as console_pages
from serve_apps.console.views import Renderer
from serve_apps.core.requests import CoreResources
from serve_apps.core.routes import ENDPOINTS, documentation
from serve_apps.http.application import build_application, routes_of
from serve_apps.http.authorization import Authorizer
from serve_apps.http.rotating import renewed
from signals.clients import postgres
from signals.clients.kafka import connection as kafka
from signals.clients.llm import open_model
from signals.clients.openid import OpenIdProvider, ProviderAccount
from signals.clients.opensearch import connection as opensearch
from signals.clients.opensearch.comparison import compare
from signals.clients.opensearch.index import labels_since
from signals.clients.opensearch.search import EventSearch
from signals.clients.outbound.senders import open_sender
from signals.clients.postgres import Connection
from signals.clients.sealing import open_seal
from signals.domain.access.people import Role
from signals.domain.access.provider_identity import Newcomers, parse_domains
from signals.garbage import collect_less_often
from signals.logs import configure_logs
from signals.periodic import repeated_in_task
from signals.ray_node.loopback import listen_on_loopback_only
from signals.rotation import Rotation, SettingsKind
from signals.services.access.audit_trail import AuditTrail
from signals.services.access.authentication import LAST_USED_EVERY_S, KeyAuthenticator
from signals.services.access.passwords import Passwords
from signals.services.access.person_tokens import PersonTokens
from signals.services.access.provider_sign_in import ProviderSignIn
from signals.services.access.saved_views import SavedViews
from signals.services.access.signing_in import SigningIn
from signals.services.deploys.views import Deploys
from signals.services.detection.rule_preview import RulePreviewer
from signals.services.detection.rule_registry import RuleRegistry
from signals.services.detection.why_not import WhyNotFinder
from signals.services.events.project_doors import DoorSettingsEditor
from signals.services.events.search import EventFinder
from signals.services.incidents.names import Names
from signals.services.incidents.outage_views import Outages
from signals.services.incidents.outage_work import OutageWork
from signals.services.incidents.overview import IncidentOverview
from signals.services.incidents.views import Incidents
from signals.services.ledger.audit import GROUPS, LedgerAudit
from signals.services.notifications.destinations import Destinations
from signals.services.notifications.maintenance import MaintenanceWindows
from signals.services.notifications.notices import Notices
from signals.services.notifications.routes import Routes
from signals.services.operations.partition_lag import PartitionLags
from signals.services.operations.project_letters import ProjectLetters
from signals.services.operations.readiness import ReadinessCheck
from signals.services.summary.comparing import ComparisonSource
from signals.services.summary.feedback import FeedbackBook
from signals.services.summary.job_list import JobList
from signals.services.summary.questions import Questions
from signals.services.summary.toolbox import ToolSources
from signals.settings import (
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
CONNECTIONS: Final = 8  # guess: requests that wait on one server at once; others queue for a connection


def build_core_api(resources: CoreResources) -> ASGIApp:
    """Build the application; its document describes ingest-api as well, and no page of the console."""

    threads = ThreadPoolExecutor(THREADS, thread_name_prefix="reading")

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        async with repeated_in_task(
            resources.authenticator.flush_last_used, every_s=LAST_USED_EVERY_S, name="last use of keys"
        ):
            yield
        threads.shutdown()

    authorizer = Authorizer(resources.authenticator, threads)
    console = resources.console
    pages = routes_of(console_pages(), console, authorizer, threads=threads) if console else ()
    return build_application(
        (*ENDPOINTS, *documentation()),
        resources,
        authorizer,
        lifespan=lifespan,
        threads=threads,
        further_routes=pages,
    )


def console_resources(
    core: CoreResources, pool: ConnectionPool[Connection], people: PeopleSettings
) -> ConsoleResources:
    """Return what the pages need beside what the API has."""
    overview = IncidentOverview(pool)
    return ConsoleResources(
        renderer=Renderer(),
        signing_in=SigningIn(pool),
        passwords=Passwords(pool),
        has_passwords=people.has_passwords,
        provider=open_provider(pool, people),
        person_tokens=PersonTokens(pool),
        pool=pool,
        outages=core.outages,
        outage_work=core.outage_work,
        incidents=core.incidents,
        overview=overview,
        deploys=core.deploys,
        rule_registry=core.rule_registry,
        rule_previewer=core.rule_previewer,
        destinations=core.destinations,
        routes=core.routes,
        maintenance=core.maintenance,
        notices=core.notices,
        event_finder=core.event_finder,
        ledger_audit=core.ledger_audit,
        readiness=core.readiness,
        partition_lags=PartitionLags(pool, KafkaSettings.from_env, GROUPS),
        letters=ProjectLetters(pool, KafkaSettings.from_env),
        job_list=JobList(pool),
        feedback=core.feedback,
        questions=core.questions,
        live_feed=LiveFeed(overview.newest),
        saved_views=SavedViews(pool),
    )


def open_core_resources(stack: ExitStack) -> CoreResources:
    """Open what the routes need, as the environment says; `stack` closes it.

    Raises:
        SettingsError: naming the variable at fault.
    """
    rotation = Rotation((PostgresSettings, OpenSearchSettings))
    pool = stack.enter_context(postgres.open_pool(PostgresSettings.from_env, size=CONNECTIONS))
    client = stack.enter_context(
        opensearch.open_client(OpenSearchSettings.from_env(), connections=CONNECTIONS)
    )
    ledger_audit = LedgerAudit(pool)
    readiness = ReadinessCheck(
        pool,
        {
            "kafka": lambda: kafka.check_reachable(KafkaSettings.from_env()),
            "opensearch": partial(opensearch.check_reachable, client),
        },
        ledger_audit.audit,
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
        readiness=readiness,
        routes=Routes(pool),
    )
    return replace(core, console=console_resources(core, pool, PeopleSettings.from_env()))


def open_provider(pool: ConnectionPool[Connection], settings: PeopleSettings) -> ProviderSignIn | None:
    """Open the sign-in at the provider that the settings name; it is asked at each sign-in."""
    secret = settings.signals_oidc_client_secret
    if not settings.signals_oidc_issuer or secret is None:
        return None
    account = ProviderAccount(
        issuer=settings.signals_oidc_issuer,
        client_id=settings.signals_oidc_client_id,
        client_secret=secret.get_secret_value(),
        trusts_addresses=settings.signals_oidc_trust_addresses,
    )
    role = settings.signals_oidc_newcomer_role
    newcomers = Newcomers(
        domains=parse_domains(settings.signals_oidc_domains),
        org_id=settings.signals_oidc_newcomer_org,
        role=None if role == "none" else Role(role),
    )
    return ProviderSignIn(pool, OpenIdProvider(account), newcomers, name=settings.signals_oidc_name)


def open_destinations(pool: ConnectionPool[Connection]) -> Destinations:
    """Open the destinations as the environment says.

    Raises:
        SettingsError: naming the variable at fault.
    """
    settings = NotificationSettings.from_env()
    return Destinations(pool, open_seal(settings), open_sender(settings))


@serve.deployment(
    name="core-api",
    max_ongoing_requests=100,
    max_queued_requests=200,
    user_config={},
    graceful_shutdown_timeout_s=10,
    logging_config={"log_level": "WARNING"},  # below it are Serve's own lines, one a request
    ray_actor_options={"num_cpus": 0.1},
)
@serve.ingress()
class CoreApi:
    """The replica that hosts the application: it opens what the routes need in its own process."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        configure_logs()
        collect_less_often()
        listen_on_loopback_only()
        self._resources = open_core_resources(self._stack)

    def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Expect as many consumers as the supervisor, which gets the same `user_config`, keeps."""
        self._resources.readiness.expect(list(expected(user_config, ConsumerSettings.from_env())))

    def __serve_build_asgi_app__(self) -> ASGIApp:  # Ray Serve's name for it
        return build_core_api(self._resources)

    def __del__(self) -> None:
        self._stack.close()
