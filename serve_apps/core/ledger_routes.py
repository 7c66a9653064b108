"""The route that tells a project where its events went."""

from fastapi import APIRouter

from serve_apps.core.requests import Core, Instant, ProjectId, Reader, check_project
from signals.services.ledger.audit import LedgerReport, span

router = APIRouter()


@router.get("/v1/ledger", tags=["events"])
def get_ledger(
    reader: Reader,
    core: Core,
    project_id: ProjectId = None,
    since: Instant = None,
    until: Instant = None,
) -> LedgerReport:
    """Account for the project's events by the minute in which they were received; the newest hour by default.

    A stage has `missing` events when everything of that minute was read and fewer came out than went in.
    """
    check_project(reader, project_id)
    start, end = span(since, until)
    return core.auditing.report(reader.project_id, start, end)
