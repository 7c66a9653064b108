"""Parts common to core-api's endpoints: resources, kinds of parameters, documented errors."""

from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field

from serve_apps.console.resources import ConsoleResources
from serve_apps.http.endpoint import Answer
from serve_apps.http.problems import Problem
from shared_types import Tenancy
from signals.domain.queries import cursors
from signals.domain.queries.parameters import MAX_TEXT
from signals.domain.queries.sorting import ListSort
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
from signals.services.ledger.audit import LedgerAudit
from signals.services.notifications.destinations import Destinations
from signals.services.notifications.maintenance import MaintenanceWindows
from signals.services.notifications.notices import Notices
from signals.services.notifications.routes import Routes
from signals.services.operations.partition_lag import PartitionLags
from signals.services.operations.readiness import ReadinessCheck
from signals.services.summary.feedback import FeedbackBook
from signals.services.summary.questions import Questions

MAX_PAGE: Final = 200
MAX_INSTANT_TEXT: Final = 64

ADMIN_ERRORS: Final = {
    400: "A parameter, a header or the body is malformed. Or two different keys were sent.",
    401: "No API key, an unknown one, or a revoked one.",
    403: "The key has another scope than admin.",
    503: "A server behind this API does not answer; see Retry-After.",
}
"""What every endpoint with an admin key may answer."""
READ_ERRORS: Final = {
    400: "A parameter is wrong; the problem names it. Or two different keys were sent.",
    401: "No API key, an unknown one, or a revoked one.",
    403: "The key has another scope than read, or belongs to another project.",
    503: "A server behind this API does not answer; see Retry-After.",
}
"""What every endpoint with a read key may answer."""

MODEL_ERRORS: Final = {
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    415: "Content-Encoding is not supported.",
    422: "What the body asks for is not possible; the problem names the field and the remedy.",
}
"""What every endpoint may answer beside that reads its body as a model."""


TAG: Final = {"ETag": {"description": "of this version", "schema": {"type": "string"}}}
IF_NONE_MATCH: Final = {
    "name": "If-None-Match",
    "in": "header",
    "schema": {"type": "string"},
    "description": "ETag of the version that the reader has; 304 when it is still the same",
}
UNCHANGED: Final = Answer(description="The reader has this version.", headers=TAG)
"""Beside 200, the answer of an endpoint that tags what it answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreResources:
    """Resources of the endpoints; the app's host opens them. Without `console` the pages are not here."""

    ledger_audit: LedgerAudit
    audit_trail: AuditTrail
    authenticator: KeyAuthenticator
    destinations: Destinations
    incidents: Incidents
    deploys: Deploys
    rule_registry: RuleRegistry
    rule_previewer: RulePreviewer
    why_not: WhyNotFinder
    outages: Outages
    outage_work: OutageWork
    maintenance: MaintenanceWindows
    names: Names
    event_finder: EventFinder
    feedback: FeedbackBook
    notices: Notices
    questions: Questions
    door_settings: DoorSettingsEditor
    partition_lags: PartitionLags
    readiness: ReadinessCheck
    routes: Routes
    console: ConsoleResources | None = None
    placement: ConsolePlacement = "none"


def printable(text: str) -> str:
    """Accept one line of text. Raises ValueError for control characters and outer spaces."""
    if not text.isprintable() or text != text.strip():
        raise ValueError("it has printable characters, and no space around them")
    return text


def _blank_as_absent(value: object) -> object:
    return None if value == "" else value


BLANK: Final = BeforeValidator(_blank_as_absent)
"""Reads an empty value as if the parameter were absent: forms send every field."""
Instant = Annotated[
    Annotated[str, Field(max_length=MAX_INSTANT_TEXT)] | None,
    BLANK,
    Field(description="RFC 3339 with its offset; write + as %2B"),
]
SearchedText = Annotated[
    Annotated[str, Field(max_length=MAX_TEXT)] | None,
    BLANK,
    Field(description="in a title or fingerprint, in upper or lower case"),
]
Assignee = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(printable)]
"""Who works on an outage: a name or mail address, as the team writes it."""
Sort = Annotated[
    ListSort,
    Field(
        description="newest opening first; last seen first; or most severe first. A row that is seen again "
        "while pages are read moves to the first page of last_seen"
    ),
]
Limit = Annotated[int, Field(ge=1, le=MAX_PAGE)]
Cursor = Annotated[
    Annotated[str, Field(max_length=cursors.MAX_LENGTH)] | None,
    BLANK,
    Field(description="next_cursor of the page before"),
]
ProjectId = Annotated[
    Annotated[str, Field(max_length=64)] | None,
    BLANK,
    Field(description="the key's own project; others are refused"),
]


def check_project(reader: Tenancy, project_id: str | None) -> None:
    """Accept a request that names the reader's own project or none.

    Raises:
        Problem: 403 when it names another one.
    """
    if project_id not in (None, reader.project_id):
        raise Problem(403, "other_project", "This key reads its own project only; leave project_id out.")
