"""Lets the model search for the cause of an incident by itself, with the tools that questions have."""

import structlog

from signals.clients.llm import Model, ModelRefused, ModelUnavailable
from signals.domain.summary.conversation.asking import INVESTIGATION
from signals.services.summary.case import SummaryCase
from signals.services.summary.conversing import conversation_about, converse
from signals.services.summary.spending import Spending
from signals.services.summary.toolbox import Toolbox

log = structlog.get_logger(__name__)


def investigate(model: Model, case: SummaryCase, toolbox: Toolbox, spending: Spending) -> dict[str, object]:
    """Return what was found, in checked statements, or why nothing was; a summary never fails because of it.

    Raises:
        DependencyUnavailable: when PostgreSQL does not answer.
    """
    incident = case.known.incident
    try:
        conversation = conversation_about(case, INVESTIGATION)
        return converse(model, conversation, toolbox, spending, incident.project_id)
    except (ModelUnavailable, ModelRefused) as error:
        log.info("investigation failed", incident_id=str(incident.incident_id), reason=str(error))
        return {"failed": str(error)}
