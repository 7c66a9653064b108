"""AI jobs: which summaries are being written, which failed, and why."""

from typing import Final

from serve_apps.console.pages import ConsolePage, Visit
from serve_apps.console.resources import ConsoleResources
from serve_apps.console.views import View
from serve_apps.http.problems import Problem

STATUSES: Final = ("all", "queued", "running", "succeeded", "failed")
ROWS: Final = 50


def list_jobs(resources: ConsoleResources, visit: Visit) -> View:
    """Show the newest jobs."""
    status = visit.query("status") or "all"
    if status not in STATUSES:
        raise Problem(400, "invalid_query", f"status: it is one of {', '.join(STATUSES)}.")
    jobs = resources.job_list.newest(
        visit.where.tenancy, status=None if status == "all" else status, rows=ROWS
    )
    return View("ai_jobs.html", {"jobs": jobs, "status": status, "statuses": STATUSES, "most": ROWS})


PAGES: Final = (
    ConsolePage(
        method="GET",
        path="/console/p/{project_id}/ai-jobs",
        right="read",
        handler=list_jobs,
        active="ai-jobs",
        live="changes",
    ),
)
