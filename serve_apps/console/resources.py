"""Resources of the console's pages; core-api's replica opens them."""

from dataclasses import dataclass

from psycopg_pool import ConnectionPool

from serve_apps.console.views import Renderer
from signals.clients.postgres import Connection
from signals.services.access.signing_in import SigningIn
from signals.services.events.search import EventFinder
from signals.services.incidents.overview import IncidentOverview
from signals.services.incidents.views import Incidents
from signals.services.ledger.audit import LedgerAudit
from signals.services.operations.readiness import ReadinessCheck
from signals.services.summary.job_list import JobList


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleResources:
    """The services that pages read and change by; `pool` is for keys and people alone."""

    renderer: Renderer
    signing_in: SigningIn
    pool: ConnectionPool[Connection]
    incidents: Incidents
    overview: IncidentOverview
    event_finder: EventFinder
    ledger_audit: LedgerAudit
    readiness: ReadinessCheck
    job_list: JobList
