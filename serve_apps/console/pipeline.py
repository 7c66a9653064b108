"""The pipeline: servers, consumers with their lag, and where the events of the last hour went."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from serve_apps.console.charts import histograms
from serve_apps.console.pages import ConsolePage, Visit
from serve_apps.console.resources import ConsoleResources
from serve_apps.console.views import View
from signals.errors import DependencyUnavailable, SettingsError
from signals.services.ledger.audit import LedgerReport, span
from signals.services.operations.partition_lag import PartitionLag

MINUTE: Final = timedelta(minutes=1)
DUTIES: Final = {
    "incident-engine": "counts events and opens incidents",
    "indexer": "makes events searchable",
    "ai-worker": "writes summaries",
    "notifier": "sends messages",
}


def show_pipeline(resources: ConsoleResources, visit: Visit) -> View:
    """Show whether each part does its work, and whether every accepted event arrived."""
    report = hour_of(resources, visit)
    accepted = {minute.minute_at: minute.accepted for minute in report.minutes}
    buckets = []
    at = report.since
    while at < report.until:
        buckets.append((at, accepted.get(at, 0)))
        at += MINUTE
    return View(
        "pipeline.html",
        {
            "readiness": resources.readiness.check(),
            "report": report,
            "charts": histograms(buckets, MINUTE, visit.clock) if report.accepted else (),
            "duties": DUTIES,
            "missing": sum(line.missing for line in report.totals),
            "lags": _lags(resources),
        },
    )


def _lags(resources: ConsoleResources) -> Sequence[PartitionLag] | None:
    """Return the lag by partition, None while Kafka is away: the page has more to show."""
    try:
        return resources.partition_lags.read()
    except (DependencyUnavailable, SettingsError):
        return None


def hour_of(resources: ConsoleResources, visit: Visit) -> LedgerReport:
    """Return the project's ledger of the last hour."""
    since, until = span(None, None)
    return resources.ledger_audit.report(visit.where.project_id, since, until)


PAGES: Final = (
    ConsolePage(
        method="GET",
        path="/console/p/{project_id}/pipeline",
        right="read",
        handler=show_pipeline,
        active="pipeline",
        live="often",
    ),
)
