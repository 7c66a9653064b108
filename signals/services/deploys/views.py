"""Lists deploys, and compares the minutes before one with those after."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from psycopg_pool import ConnectionPool

from shared_types import MetricName, Tenancy
from signals.clients.postgres import REQUEST_TIMEOUT_MS, Connection, reading
from signals.domain.deploys.deploy import Deploy, DeployStatus
from signals.domain.detection.buckets import instant_of, minute_of
from signals.domain.incidents.charts import MinuteCount
from signals.domain.queries import cursors
from signals.domain.queries.parameters import InvalidQuery, checked_text, instant
from signals.store.deploys import counts_around, deploys
from signals.store.deploys.counts_around import SeriesCounts
from signals.store.deploys.deploys import DeployFilter
from signals.store.incidents import incident_views
from signals.store.incidents.incident_views import Incident, ListFilter

MINUTES: Final = 30  # on each side of a deploy
BEGUN_WITHIN: Final = timedelta(minutes=60)  # guess: later incidents have other causes more often
MAX_SERVICE_CHARS: Final = 128
MAX_CHANGED: Final = 10
MAX_INCIDENTS: Final = 20
MAX_READ: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployRequest:
    """A list of deploys as the client asked for it."""

    environment: str | None = None
    service: str | None = None
    since: str | None = None
    until: str | None = None
    limit: int = 50
    cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployView:
    """A deploy as readers see it; `id` is its event's, `occurred_at` its own clock, `received_at` ours."""

    id: UUID
    environment: str
    release: str | None
    previous: str | None
    service: str | None
    status: DeployStatus
    by_whom: str | None
    link: str | None
    occurred_at: datetime
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployPage:
    """Deploys, newest first; `next_cursor` is None on the last page."""

    deploys: list[DeployView]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CountsAround:
    """Events before and from the deploy's minute on, and each minute of both."""

    before: int
    after: int
    minutes: list[MinuteCount]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedFailure:
    """Errors of one fingerprint before and after; `is_new` when none was ever counted before."""

    fingerprint: str
    before: int
    after: int
    is_new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployDetail:
    """A deploy, the minutes around it, and what began after it: time order, never a proof.

    `minutes_before` and `minutes_after` are compared; after a young deploy there are fewer so far.
    """

    deploy: DeployView
    minutes_before: int
    minutes_after: int
    errors: CountsAround
    signups: CountsAround
    failures: list[ChangedFailure]
    incidents: list[Incident]


class Deploys:
    """Reads the deploys of a tenant; safe to call from several threads. `now` tells how far minutes go."""

    def __init__(self, pool: ConnectionPool[Connection], now: Callable[[], datetime]) -> None:
        self._pool = pool
        self._now = now

    def page(self, tenancy: Tenancy, request: DeployRequest) -> DeployPage:
        """Return one page of deploys.

        Raises:
            InvalidQuery: naming the parameter at fault.
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        service = request.service
        wanted = DeployFilter(
            project_id=tenancy.project_id,
            environment=request.environment,
            service=checked_text("service", service, max_length=MAX_SERVICE_CHARS) if service else None,
            since=instant("since", request.since) if request.since else None,
            until=instant("until", request.until) if request.until else None,
        )
        if wanted.since and wanted.until and wanted.since >= wanted.until:
            raise InvalidQuery("until", "it must be later than since")
        tied_to = cursors.tie("deploys", wanted)
        before = cursors.decode_row(request.cursor, tied_to=tied_to) if request.cursor is not None else None
        with reading(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            rows = deploys.list_deploys(connection, wanted, before=before, limit=request.limit + 1)
        page, more = rows[: request.limit], len(rows) > request.limit
        next_cursor = (
            cursors.encode_row(page[-1].occurred_at, page[-1].event_id, tied_to=tied_to) if more else None
        )
        return DeployPage(deploys=[_view(deploy) for deploy in page], next_cursor=next_cursor)

    def detail(self, tenancy: Tenancy, deploy_id: UUID) -> DeployDetail | None:
        """Return one deploy with the minutes around it, None when the project has no such one.

        Raises:
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        with reading(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            deploy = deploys.get(connection, tenancy.project_id, deploy_id)
            if deploy is None:
                return None
            at = minute_of(deploy.occurred_at)
            start, end = at - MINUTES, min(at + MINUTES, max(at, minute_of(self._now()) + 1))

            def counted(metric: MetricName) -> list[SeriesCounts]:
                return counts_around.read(connection, deploy, metric, instant_of(start), instant_of(end))

            errors = counted("error_count")
            return DeployDetail(
                deploy=_view(deploy),
                minutes_before=at - start,
                minutes_after=end - at,
                errors=_around(errors, start, at, end),
                signups=_around(counted("signup_count"), start, at, end),
                failures=_changed(errors, at),
                incidents=_begun_after(connection, deploy),
            )


def _view(deploy: Deploy) -> DeployView:
    return DeployView(
        id=deploy.event_id,
        environment=deploy.environment,
        release=deploy.release,
        previous=deploy.previous,
        service=deploy.service,
        status=deploy.status,
        by_whom=deploy.by_whom,
        link=deploy.link,
        occurred_at=deploy.occurred_at,
        received_at=deploy.received_at,
    )


def _around(series: Sequence[SeriesCounts], start: int, at: int, end: int) -> CountsAround:
    total: Counter[int] = Counter()
    for one in series:
        total.update(one.counts)
    return CountsAround(
        before=sum(count for minute, count in total.items() if minute < at),
        after=sum(count for minute, count in total.items() if minute >= at),
        minutes=[MinuteCount(at=instant_of(minute), count=total[minute]) for minute in range(start, end)],
    )


def _changed(series: Sequence[SeriesCounts], at: int) -> list[ChangedFailure]:
    rows = [
        ChangedFailure(
            fingerprint=one.fingerprint,
            before=sum(count for minute, count in one.counts.items() if minute < at),
            after=sum(count for minute, count in one.counts.items() if minute >= at),
            is_new=one.first_at >= instant_of(at),
        )
        for one in series
    ]
    return sorted(rows, key=lambda row: (row.before - row.after, row.fingerprint))[:MAX_CHANGED]


def _begun_after(connection: Connection, deploy: Deploy) -> list[Incident]:
    """Return incidents of the environment that opened within an hour, the first ones first."""
    active = ListFilter(
        project_id=deploy.project_id,
        environment=deploy.environment,
        since=deploy.occurred_at,
        until=deploy.occurred_at + BEGUN_WITHIN,
    )
    found = incident_views.list_incidents(connection, active, before=None, limit=MAX_READ)
    return [incident for incident in reversed(found) if incident.opened_at >= deploy.occurred_at][
        :MAX_INCIDENTS
    ]
