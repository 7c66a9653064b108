"""ingest-api: the application, and the replica that hosts it."""

from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from typing import Final

from ray import serve
from starlette.types import ASGIApp

from serve_apps.http.application import Application, build_application, routes_of
from serve_apps.http.authorization import Authorizer
from serve_apps.http.rotating import renewed
from serve_apps.http.short_road import Places, host
from serve_apps.ingest.acknowledgements import Acknowledgements
from serve_apps.ingest.intake import IngestResources, Intake
from serve_apps.ingest.protocols.doors import PATIENCE_S, Doors
from serve_apps.ingest.protocols.pages import page_routes
from serve_apps.ingest.protocols.reading import BodyReading
from serve_apps.ingest.routes import DOORS, ENDPOINTS
from signals.clients.kafka import RAW_TOPIC
from signals.clients.kafka.publisher import open_publisher
from signals.clients.postgres import open_pool, renew
from signals.domain.access.limits import KeyLimits
from signals.domain.access.unknown_keys import UnknownKeys
from signals.domain.events.grouping_guard import GroupingGuard
from signals.garbage import collect_less_often
from signals.logs import configure_logs
from signals.periodic import repeated_in_task
from signals.ray_node.loopback import listen_on_loopback_only
from signals.rotation import Rotation, SettingsKind
from signals.services.access.authentication import LAST_USED_EVERY_S, KeyAuthenticator
from signals.services.access.quotas import Quotas
from signals.services.events.ingestion import Ingestion
from signals.services.ledger.entries import LedgerWriter
from signals.settings import KafkaSettings, PostgresSettings, RuntimeSettings

ANSWER_WITHIN_S: Final = 0.8  # of publishing: a second (docs/concepts/events.md) less what comes before
COUNTS_EVERY_S: Final = 1.0  # what a killed replica has not reported
PLACES: Final = Places(running=256, waiting=512)
CONNECTIONS: Final = 3  # lookups of keys, leases, counts


def build_ingest_api(resources: IngestResources) -> Application:
    """Build the application; core-api's document describes it."""
    acknowledgements = Acknowledgements(resources.ingestion, answer_within_s=ANSWER_WITHIN_S)
    patient = Acknowledgements(resources.ingestion, answer_within_s=PATIENCE_S)
    reading = BodyReading()

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        async with (
            repeated_in_task(
                resources.authenticator.flush_last_used,
                every_s=LAST_USED_EVERY_S,
                name="last use of keys",
            ),
            repeated_in_task(resources.quotas.flush, every_s=COUNTS_EVERY_S, name="unused quota"),
            repeated_in_task(resources.ledger_writer.flush, every_s=COUNTS_EVERY_S, name="accepted counts"),
        ):
            yield
        acknowledgements.close()
        patient.close()
        reading.close()

    authorizer = Authorizer(resources.authenticator)
    doors = Doors(
        Intake(resources.quotas, patient),
        authorizer,
        resources.ledger_writer,
        UnknownKeys(),
        GroupingGuard(),
        reading,
    )
    return build_application(
        ENDPOINTS,
        Intake(resources.quotas, acknowledgements),
        authorizer,
        lifespan=lifespan,
        first_routes=page_routes(doors, authorizer),
        further_routes=routes_of(DOORS, doors, authorizer),
    )


def open_ingest_resources(stack: ExitStack) -> IngestResources:
    """Open what the handlers need, as environment and secret files say; `stack` closes it.

    Raises:
        SettingsError: naming the variable at fault.
    """
    runtime, rotation = RuntimeSettings.from_env(), Rotation((PostgresSettings, KafkaSettings))
    pool = stack.enter_context(open_pool(PostgresSettings.from_env, size=CONNECTIONS))
    publisher = stack.enter_context(open_publisher(KafkaSettings.from_env(), polls_itself=False))
    ledger_writer = LedgerWriter(pool)
    limits = KeyLimits(
        events_per_second=runtime.key_events_per_second, events_per_day=runtime.key_events_per_day
    )
    resources = IngestResources(
        authenticator=KeyAuthenticator(pool, cache_s=runtime.key_cache_s, default_limits=limits),
        quotas=stack.enter_context(Quotas(pool)),
        ingestion=Ingestion(publisher, ledger_writer.accepted),
        ledger_writer=ledger_writer,
    )
    resources.ingestion.get_ready()
    renewals: dict[SettingsKind, Callable[[], None]] = {
        PostgresSettings: partial(renew, pool),
        KafkaSettings: lambda: publisher.renew(KafkaSettings.from_env(), RAW_TOPIC),
    }
    stack.enter_context(renewed(rotation, renewals))
    return resources


@serve.deployment(
    name="ingest-api",
    max_ongoing_requests=PLACES.running,
    max_queued_requests=PLACES.waiting,
    max_surge_percent=100,  # an upgrade in place starts the new replica before the old one leaves
    graceful_shutdown_timeout_s=10,
    health_check_period_s=1,  # how late Serve sees that a replica is dead; 10 by default
    logging_config={"log_level": "WARNING"},  # below it are Serve's own lines, one a request
    ray_actor_options={"num_cpus": 0.1},
)
@serve.ingress()
class IngestApi:
    """The replica that hosts the application: it opens what the handlers need in its own process."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        configure_logs()
        collect_less_often()
        listen_on_loopback_only()
        self._resources = open_ingest_resources(self._stack)

    def __serve_build_asgi_app__(self) -> ASGIApp:  # Ray Serve's name for it
        return host(build_ingest_api(self._resources), PLACES)

    def check_health(self) -> None:
        """Let Serve replace a replica whose producer has given up for good."""
        self._resources.ingestion.check()

    def __del__(self) -> None:
        self._stack.close()
