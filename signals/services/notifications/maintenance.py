"""Maintenance windows of a project: messages wait until they end; counting and incidents go on."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final
from uuid import UUID, uuid4

import structlog
from psycopg_pool import ConnectionPool
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from shared_types import Environment
from shared_types.envelope import Timestamp
from signals.clients.postgres import REQUEST_TIMEOUT_MS, Connection, reading, transaction
from signals.domain.access.principal import Caller
from signals.store.access import audit
from signals.store.notifications import maintenance
from signals.store.notifications.maintenance import MaintenanceWindow

MAX_WINDOW: Final = timedelta(days=7)  # longer silence is a route's business
MAX_AHEAD: Final = timedelta(days=90)  # guess: planned work is known some weeks before
MAX_WINDOWS: Final = 100  # of a project that have not ended: each is compared with every incident

Text = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]

log = structlog.get_logger(__name__)


class NewMaintenance(BaseModel):
    """The body that begins, or plans, a maintenance window."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    starts_at: Timestamp | None = Field(default=None, description="RFC 3339; left out: now")
    ends_at: Timestamp = Field(description="RFC 3339; 7 days after the start at most")
    environment: Environment | None = Field(default=None, description="left out: every one")
    fingerprint: Text | None = Field(default=None, description="a pattern with * and ?; left out: every one")
    reason: Text = Field(description="why, for the people who look for their messages")


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceView:
    """A window as people see it."""

    id: UUID
    environment: str | None
    fingerprint: str | None
    starts_at: datetime
    ends_at: datetime
    is_active: bool
    reason: str
    created_by: str


class MaintenanceRefused(Exception):  # noqa: N818  # reads as what happened
    """A window cannot be stored: `code` is a word for programs, the text names field and remedy."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class MaintenanceWindows:
    """The windows of the caller's project; safe to call from several threads.

    Its methods raise DependencyUnavailable when PostgreSQL does not answer.
    """

    def __init__(
        self, pool: ConnectionPool[Connection], *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._pool = pool
        self._now = now

    def current(self, caller: Caller) -> list[MaintenanceView]:
        """Return the windows that have not ended, the last to end first."""
        now = self._now()
        with reading(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            project_ids = [caller.tenancy.project_id]
            rows = maintenance.list_windows(connection, project_ids, after=now, rows=MAX_WINDOWS)
        return [_view(row, now) for row in rows]

    def start(self, caller: Caller, new: NewMaintenance) -> MaintenanceView:
        """Store a window.

        Raises:
            MaintenanceRefused: saying what to change.
        """
        now = self._now()
        starts_at = new.starts_at or now
        if not max(starts_at, now) < new.ends_at <= starts_at + MAX_WINDOW:
            text = f"ends_at: it lies after now and the start, by {MAX_WINDOW.days} days at most."
            raise MaintenanceRefused("invalid_ends_at", text)
        if starts_at > now + MAX_AHEAD:
            text = f"starts_at: it lies {MAX_AHEAD.days} days ahead at most."
            raise MaintenanceRefused("invalid_starts_at", text)
        row = MaintenanceWindow(
            id=uuid4(),
            project_id=caller.tenancy.project_id,
            environment=new.environment and new.environment.value,
            fingerprint=new.fingerprint,
            starts_at=starts_at,
            ends_at=new.ends_at,
            reason=new.reason,
            created_at=now,
            created_by=caller.actor,
        )
        with transaction(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            if len(maintenance.list_windows(connection, [row.project_id], after=now, rows=MAX_WINDOWS)) >= (
                MAX_WINDOWS
            ):
                text = f"A project has at most {MAX_WINDOWS} windows that have not ended; end one first."
                raise MaintenanceRefused("too_many_windows", text)
            maintenance.insert(connection, row)
            audit.record_change(
                connection, caller, "maintenance started", f"maintenance:{row.id}", after=_facts(row)
            )
        log.info(
            "maintenance started", window_id=str(row.id), until=row.ends_at.isoformat(), by=row.created_by
        )
        return _view(row, now)

    def end(self, caller: Caller, window_id: UUID) -> bool:
        """End a window now; False when the project has none of this id that has not ended."""
        with transaction(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            ended = maintenance.end(connection, caller.tenancy.project_id, window_id, now=self._now())
            if ended:
                audit.record_change(connection, caller, "maintenance ended", f"maintenance:{window_id}")
        if ended:
            log.info("maintenance ended", window_id=str(window_id), by=caller.actor)
        return ended


def _facts(row: MaintenanceWindow) -> dict[str, object]:
    return {
        "environment": row.environment,
        "fingerprint": row.fingerprint,
        "starts_at": row.starts_at.isoformat(),
        "ends_at": row.ends_at.isoformat(),
        "reason": row.reason,
    }


def _view(row: MaintenanceWindow, now: datetime) -> MaintenanceView:
    return MaintenanceView(
        id=row.id,
        environment=row.environment,
        fingerprint=row.fingerprint,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        is_active=row.starts_at <= now < row.ends_at,
        reason=row.reason,
        created_by=row.created_by,
    )
