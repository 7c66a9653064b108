"""The pipeline: servers, consumers with their lag, and where the events of the last hour went."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from serve_apps.console.charts import histograms
from serve_apps.console.pages import ConsolePage, Visit
from serve_apps.console.resources import ConsoleResources
from serve_apps.console.views import View
from signals.errors import DependencyUnavailable, SettingsError
from signals.services.ledger.audit import LedgerReport, span
from signals.services.operations.partition_lag import PartitionLag, StageReading
from signals.services.operations.readiness import ProductReadiness

MINUTE: Final = timedelta(minutes=1)
DUTIES: Final = {
    "incident-engine": "counts events and opens incidents",
    "indexer": "makes events searchable",
    "ai-worker": "writes summaries",
    "notifier": "sends messages",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineVerdict:
    """The verdict on the whole pipeline: `kind` is its colour, `title` that of the window."""

    kind: str
    title: str
    text: str
    stages: tuple[str, ...]


def pipeline_verdict(readiness: ProductReadiness) -> PipelineVerdict:
    """Put the verdict in words, with a sentence for each stage that is late or stands still."""
    stages = tuple(_sentences(readiness.stages))
    if not readiness.ready:
        return PipelineVerdict(kind="bad", title="NOT WELL", text="Not every part works", stages=stages)
    if stages:
        return PipelineVerdict(
            kind="late", title="LATE", text="Every part works, events are late", stages=stages
        )
    return PipelineVerdict(kind="ok", title="Well", text="Every part works", stages=())


def _sentences(stages: Sequence[StageReading]) -> Iterator[str]:
    for one in stages:
        if one.progress == "well":
            continue
        several = len(one.partitions) > 1
        named = f"partition{'s' if several else ''} {', '.join(map(str, one.partitions))} of {one.stage}"
        if one.progress == "standing":
            done = f"{'stand' if several else 'stands'} still"
        else:
            done = f"{'are' if several else 'is'} more than a minute late"
        wait = "record waits" if one.waiting == 1 else "records wait"
        yield f"{named[0].upper()}{named[1:]} {done}: {one.waiting:,} {wait}."


def show_pipeline(resources: ConsoleResources, visit: Visit) -> View:
    """Show whether each part does its work, and whether every accepted event arrived."""
    report = hour_of(resources, visit)
    accepted = {minute.minute_at: minute.accepted for minute in report.minutes}
    buckets = []
    at = report.since
    while at < report.until:
        buckets.append((at, accepted.get(at, 0)))
        at += MINUTE
    readiness = resources.readiness.check()
    return View(
        "pipeline.html",
        {
            "readiness": readiness,
            "verdict": pipeline_verdict(readiness),
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
