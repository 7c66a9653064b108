"""Resources of the console's pages; the replica that hosts them opens them."""

from dataclasses import dataclass

from psycopg_pool import ConnectionPool

from serve_apps.console.live_feed import LiveFeed
from serve_apps.console.views import Renderer
from signals.clients.postgres import Connection
from signals.services.access.passwords import Passwords
from signals.services.access.person_tokens import PersonTokens
from signals.services.access.provider_sign_in import ProviderSignIn
from signals.services.access.saved_views import SavedViews
from signals.services.access.signing_in import SigningIn
from signals.services.deploys.views import Deploys
from signals.services.detection.rule_preview import RulePreviewer
from signals.services.detection.rule_registry import RuleRegistry
from signals.services.events.search import EventFinder
from signals.services.incidents.outage_views import Outages
from signals.services.incidents.outage_work import OutageWork
from signals.services.incidents.overview import IncidentOverview
from signals.services.incidents.views import Incidents
from signals.services.ledger.audit import LedgerAudit
from signals.services.notifications.destinations import Destinations
from signals.services.notifications.maintenance import MaintenanceWindows
from signals.services.notifications.notices import Notices
from signals.services.notifications.routes import Routes
from signals.services.operations.partition_lag import PartitionLags
from signals.services.operations.project_letters import ProjectLetters
from signals.services.operations.readiness import ReadinessCheck
from signals.services.summary.feedback import FeedbackBook
from signals.services.summary.job_list import JobList
from signals.services.summary.questions import Questions


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleResources:
    """The services that pages read and change by; `pool` is for keys and people alone.

    Without `has_passwords` people sign in by link or provider only. `proxies` stand before HAProxy.
    """

    renderer: Renderer
    signing_in: SigningIn
    passwords: Passwords
    has_passwords: bool
    provider: ProviderSignIn | None
    proxies: int
    person_tokens: PersonTokens
    pool: ConnectionPool[Connection]
    outages: Outages
    outage_work: OutageWork
    incidents: Incidents
    overview: IncidentOverview
    deploys: Deploys
    rule_registry: RuleRegistry
    rule_previewer: RulePreviewer
    destinations: Destinations
    routes: Routes
    maintenance: MaintenanceWindows
    notices: Notices
    event_finder: EventFinder
    ledger_audit: LedgerAudit
    readiness: ReadinessCheck
    partition_lags: PartitionLags
    letters: ProjectLetters
    job_list: JobList
    feedback: FeedbackBook
    questions: Questions
    live_feed: LiveFeed
    saved_views: SavedViews
