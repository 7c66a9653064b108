"""Deploys: the list of them, and the minutes before one beside those after."""

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlencode

from serve_apps.console.charts import SeriesChart, series_charts
from serve_apps.console.pages import ConsolePage, Visit, missing, query_of
from serve_apps.console.resources import ConsoleResources
from serve_apps.console.views import View
from shared_types import Environment, Fingerprint, MetricName
from signals.domain.queries.search import search_filters
from signals.services.deploys.views import CountsAround, DeployDetail, DeployRequest
from signals.services.incidents.incident_chart import Chart, DeployMark

PAGE_ROWS: Final = 50


def list_deploys(resources: ConsoleResources, visit: Visit) -> View:
    """Show one page of deploys, newest first."""
    environment = visit.chosen("env", list(Environment), "")
    service = visit.query("service")
    request = DeployRequest(
        environment=environment or None,
        service=service or None,
        limit=PAGE_ROWS,
        cursor=visit.query("cursor") or None,
    )
    page = resources.deploys.page(visit.where.tenancy, request)

    def address(cursor: str) -> str:
        return query_of(env=environment, service=service, cursor=cursor)

    return View(
        "deploys.html",
        {
            "deploys": page.deploys,
            "environment": environment,
            "environments": list(Environment),
            "service": service,
            "older": address(page.next_cursor) if page.next_cursor else "",
            "newest": address("") if request.cursor else "",
        },
    )


def show_deploy(resources: ConsoleResources, visit: Visit) -> View:
    """Show one deploy: errors and signups before and after, and what began within the hour."""
    detail = resources.deploys.detail(visit.where.tenancy, visit.id("deploy_id", "deploy"))
    if detail is None:
        raise missing("deploy")
    return View(
        "deploy.html",
        {
            "deploy": detail.deploy,
            "detail": detail,
            "errors": _charts(visit, detail, "error_count", detail.errors),
            "signups": _charts(visit, detail, "signup_count", detail.signups),
            "failures": [
                {
                    "series": Fingerprint.parse(one.fingerprint),
                    "counts": one,
                    "search": f"{visit.base}/search?{urlencode({'q': _filters(one.fingerprint)})}",
                }
                for one in detail.failures
            ],
        },
    )


def _filters(fingerprint: str) -> str:
    return search_filters(Fingerprint.parse(fingerprint))


def _charts(
    visit: Visit, detail: DeployDetail, metric: MetricName, counted: CountsAround
) -> Sequence[SeriesChart]:
    """Return the minutes around the deploy with its mark; nothing when no event was counted in them."""
    if not counted.before and not counted.after:
        return ()
    deploy = detail.deploy
    mark = DeployMark(
        id=deploy.id,
        at=deploy.occurred_at,
        release=deploy.release,
        service=deploy.service,
        status=deploy.status,
    )
    chart = Chart(metric=metric, baseline_per_minute=None, minutes=counted.minutes, deploys=[mark])
    return series_charts(chart, None, visit.clock)


_LIST: Final = "/console/p/{project_id}/deploys"
PAGES: Final = (
    ConsolePage(method="GET", path=_LIST, right="read", handler=list_deploys, active="deploys", live="often"),
    ConsolePage(
        method="GET", path=_LIST + "/{deploy_id}", right="read", handler=show_deploy, active="deploys"
    ),
)
