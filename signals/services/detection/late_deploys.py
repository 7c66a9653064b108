"""Has incidents summarized again when a deploy of the hour before them is reported after their opening.

Deploys travel in another partition than errors, and a CI job may report minutes late.
"""

from collections.abc import Callable, Sequence
from uuid import UUID

from signals.clients.postgres import Connection
from signals.domain.deploys.beginning import BEFORE
from signals.domain.deploys.deploy import Deploy
from signals.store.deploys import deploys
from signals.store.summary import ai_jobs


def summarize_after(
    connection: Connection, reported: Sequence[Deploy], *, new_id: Callable[[], UUID]
) -> list[UUID]:
    """Queue summaries of open incidents that began after these deploys, in the caller's transaction.

    Returns the ids of new jobs; an incident whose job is queued already will read the deploy in it.
    """
    found = deploys.incidents_after(connection, reported, within=BEFORE)
    return ai_jobs.enqueue_all(connection, {new_id(): incident_id for incident_id in found}) if found else []
