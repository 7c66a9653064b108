"""The console's pages in core-api, or the sentence that stands in their place."""

from collections.abc import Iterable
from concurrent.futures import Executor
from typing import Final

from psycopg_pool import ConnectionPool
from starlette.responses import Response
from starlette.routing import Route

from serve_apps.console.live_feed import LiveFeed
from serve_apps.console.resources import ConsoleResources
from serve_apps.console.routes import endpoints as console_pages
from serve_apps.console.views import renderer
from serve_apps.core.requests import CoreResources
from serve_apps.http.application import routes_of
from serve_apps.http.authorization import Authorizer
from serve_apps.http.endpoint import Answer, Call, Endpoint
from serve_apps.http.problems import Problem, unavailable
from signals.clients.openid import OpenIdProvider, ProviderAccount
from signals.clients.postgres import Connection
from signals.domain.access.people import Role
from signals.domain.access.provider_identity import Newcomers, parse_domains
from signals.services.access.passwords import Passwords
from signals.services.access.person_tokens import PersonTokens
from signals.services.access.provider_sign_in import ProviderSignIn
from signals.services.access.saved_views import SavedViews
from signals.services.access.signing_in import SigningIn
from signals.services.incidents.overview import IncidentOverview
from signals.services.operations.project_letters import ProjectLetters
from signals.services.summary.job_list import JobList
from signals.settings import KafkaSettings, PeopleSettings

PATHS: Final = ("/console", "/console/{rest:path}")


def console_routes(core: CoreResources, authorizer: Authorizer, threads: Executor) -> Iterable[Route]:
    """Return the routes below /console of core-api."""
    if core.console is not None:
        return routes_of(console_pages(), core.console, authorizer, threads=threads)
    return routes_of(_elsewhere(), core, authorizer, threads=threads)


async def no_pages(core: CoreResources, _: Call[None]) -> Response:
    """Say why there is no page here.

    Raises:
        Problem: 404 where the console is nowhere, 503 until its own application answers in core-api's place.
    """
    if core.placement == "own":
        raise unavailable("The console is starting; try again.")
    raise Problem(404, "no_console", "This installation has no console: SIGNALS_CONSOLE is `none`.")


def _elsewhere() -> Iterable[Endpoint[CoreResources]]:
    answers = {404: Answer(description="There is no console.")}
    for path in PATHS:
        for method in ("GET", "POST"):
            yield Endpoint(method=method, path=path, handler=no_pages, tag="console", answers=answers)


def console_resources(
    core: CoreResources, pool: ConnectionPool[Connection], people: PeopleSettings
) -> ConsoleResources:
    """Return what the pages need beside what the API has."""
    overview = IncidentOverview(pool)
    return ConsoleResources(
        renderer=renderer(),
        signing_in=SigningIn(pool),
        passwords=Passwords(pool),
        has_passwords=people.has_passwords,
        provider=open_provider(pool, people),
        proxies=people.signals_proxies,
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
        partition_lags=core.partition_lags,
        letters=ProjectLetters(pool, KafkaSettings.from_env),
        job_list=JobList(pool),
        feedback=core.feedback,
        questions=core.questions,
        live_feed=LiveFeed(overview.newest),
        saved_views=SavedViews(pool),
    )


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
