"""Manages the destinations of a project: create, change, list, test, delete. Secrets go in only."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from time import monotonic
from typing import Annotated, Any, Final
from uuid import UUID, uuid4

import structlog
from psycopg_pool import ConnectionPool
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from signals.clients.outbound.guard import AddressRefused, HostUnknown, resolve
from signals.clients.outbound.senders import Sender
from signals.clients.outbound.webhook import new_signing_key
from signals.clients.postgres import REQUEST_TIMEOUT_MS, Connection, reading, transaction
from signals.clients.sealing import Seal
from signals.domain.access.principal import Caller
from signals.domain.notifications.messages import compose_test
from signals.domain.notifications.targets import (
    SENT_WITH,
    Target,
    TargetKind,
    WebhookTarget,
    hint,
    host_of,
    parse_target,
    split,
)
from signals.errors import SettingsError
from signals.store.access import audit
from signals.store.notifications import destinations
from signals.store.notifications.destinations import (
    DestinationState,
    DestinationWrite,
    StoredDestination,
)

MAX_DESTINATIONS: Final = 50  # guess: a project's; each costs a look at every incident

log = structlog.get_logger(__name__)


class DestinationRefused(Exception):  # noqa: N818  # reads as what happened
    """A destination cannot be stored: `code` is a word for programs, the text names field and remedy."""

    def __init__(self, code: str, text: str, *, field: str | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.field = field


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationView:
    """A destination as people see it: without secrets. `hint` tells two secrets apart."""

    id: UUID
    name: str
    kind: TargetKind
    settings: dict[str, Any]
    hint: str
    fallback_id: UUID | None
    state: DestinationState
    failing_since: datetime | None
    last_told_at: datetime | None
    last_error: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedDestination:
    """A new destination; `signing_key` is the key that was made for it, shown this once."""

    destination: DestinationView
    signing_key: str | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TestOutcome:
    """How a test message fared."""

    __test__ = False  # pytest: no test

    told: bool
    status: int | None
    error: str | None
    took_ms: int


def _name(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        raise ValueError("a name has printable characters, and no space around them")
    return text


Name = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_name)]


class NewDestination(BaseModel):
    """The body that creates a destination."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    target: Target
    fallback_id: UUID | None = Field(default=None, description="told when this one fails for long")


class DestinationChange(BaseModel):
    """The body that changes a destination; fields that are left out stay."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name | None = None
    target: dict[str, Any] | None = Field(
        default=None, max_length=16, description="fields of the target, of the same kind; null removes one"
    )
    fallback_id: UUID | None = Field(default=None, description="null: no fallback")
    enabled: bool | None = Field(default=None, description="false: nothing is sent")


class Destinations:
    """The destinations of the caller's project; safe to call from several threads."""

    def __init__(
        self,
        pool: ConnectionPool[Connection],
        seal: Seal,
        sender: Sender,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._pool = pool
        self._seal = seal
        self._sender = sender
        self._now = now

    def all(self, caller: Caller) -> list[DestinationView]:
        """Return the project's destinations by name.

        Raises:
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        with reading(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            rows = destinations.list_destinations(connection, caller.tenancy.project_id)
        return [_view(row) for row in rows]

    def get(self, caller: Caller, destination_id: UUID) -> DestinationView | None:
        """Return one destination, None when the project has no such one.

        Raises:
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        row = self._find(caller, destination_id)
        return None if row is None else _view(row)

    def create(self, caller: Caller, new: NewDestination) -> CreatedDestination:
        """Store a destination after its address was checked; a webhook without a key gets one.

        Raises:
            DestinationRefused: saying what to change.
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        made = None
        target: Target = new.target
        if isinstance(target, WebhookTarget) and not target.signing_keys:
            made = new_signing_key()
            target = _merged(target, {"signing_keys": [made]})
        row = self._row(caller, uuid4(), new.name, target, new.fallback_id)
        with transaction(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            if destinations.count_locked(connection, row.project_id) >= MAX_DESTINATIONS:
                text = f"A project has at most {MAX_DESTINATIONS} destinations; delete one first."
                raise DestinationRefused("too_many_destinations", text)
            self._check_fallback(connection, row)
            if not destinations.insert(connection, row):
                raise _name_taken()
            stored = destinations.get(connection, row.id)
            assert stored is not None
            audit.record_change(
                connection, caller, "destination created", _target(row.id), after=_facts(stored)
            )
        log.info("destination created", destination_id=str(row.id), kind=row.kind, by=row.created_by)
        return CreatedDestination(destination=_view(stored), signing_key=made)

    def change(
        self, caller: Caller, destination_id: UUID, change: DestinationChange
    ) -> DestinationView | None:
        """Change what is given; None when the project has no such destination.

        Raises:
            DestinationRefused: saying what to change.
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        current = self._find(caller, destination_id)
        if current is None:
            return None
        target = self._opened(current) if change.target is not None else None
        if target is not None and change.target is not None:
            target = _merged(target, change.target)
        given = change.model_fields_set
        fallback = change.fallback_id if "fallback_id" in given else current.fallback_id
        name = change.name or current.name
        row = (
            self._row(caller, current.id, name, target, fallback)
            if target is not None
            else _unchanged(current, name, fallback)
        )
        enabled = current.state != "disabled" if change.enabled is None else change.enabled
        row = replace(row, is_enabled=enabled)
        with transaction(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            self._check_fallback(connection, row)
            if not destinations.update(connection, row):
                raise _name_taken()
            stored = destinations.get(connection, row.id, project_id=row.project_id)
            if stored is not None:
                before = _facts(current)
                after = _facts(stored) | {"secret_replaced": stored.secret != current.secret}
                audit.record_change(
                    connection, caller, "destination changed", _target(row.id), before=before, after=after
                )
        log.info("destination changed", destination_id=str(row.id), fields=sorted(given), by=caller.actor)
        return None if stored is None else _view(stored)

    def delete(self, caller: Caller, destination_id: UUID) -> bool:
        """Delete a destination with its routes and notices; False when the project has no such one.

        Raises:
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        project_id = caller.tenancy.project_id
        with transaction(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            row = destinations.get(connection, destination_id, project_id=project_id)
            deleted = destinations.delete(connection, destination_id, project_id=project_id)
            if row is not None and deleted:
                before, target = _facts(row), _target(destination_id)
                audit.record_change(connection, caller, "destination deleted", target, before=before)
        if deleted:
            log.info("destination deleted", destination_id=str(destination_id), by=caller.actor)
        return deleted == 1

    def test(self, caller: Caller, destination_id: UUID) -> TestOutcome | None:
        """Send a message that is marked as a test; None when the project has no such destination.

        Raises:
            DestinationRefused: when the stored secret cannot be opened.
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        row = self._find(caller, destination_id)
        if row is None:
            return None
        target, now = self._opened(row), self._now()
        message = compose_test(row.name, notice_id=uuid4(), at=now)
        began = monotonic()
        result = self._sender.send(target, message, now)
        took_ms = round((monotonic() - began) * 1000)
        log.info("destination tested", destination_id=str(row.id), outcome=result.state, took_ms=took_ms)
        return TestOutcome(
            told=result.state == "told", status=result.status, error=result.error, took_ms=took_ms
        )

    def _find(self, caller: Caller, destination_id: UUID) -> StoredDestination | None:
        with reading(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            return destinations.get(connection, destination_id, project_id=caller.tenancy.project_id)

    def _opened(self, row: StoredDestination) -> Target:
        try:
            return open_target(self._seal, row)
        except SettingsError as error:
            raise DestinationRefused("secret_unreadable", f"{error}.") from error

    def _row(
        self, caller: Caller, row_id: UUID, name: str, target: Target, fallback_id: UUID | None
    ) -> DestinationWrite:
        self._check_address(target)
        settings, secret = split(target)
        try:
            sealed = self._seal.seal(secret) if secret else None
        except SettingsError as error:
            raise DestinationRefused("no_secret_key", f"{error}.") from error
        return DestinationWrite(
            id=row_id,
            project_id=caller.tenancy.project_id,
            name=name,
            kind=target.kind,
            settings=settings,
            secret=sealed,
            hint=hint(target),
            fallback_id=fallback_id,
            created_by=caller.actor,
        )

    def _check_address(self, target: Target) -> None:
        server = host_of(target)
        if server is None:
            return  # the vendor's: checked when a message is sent
        try:
            resolve(*server, self._sender.allowed)
        except AddressRefused as error:
            raise DestinationRefused("address_refused", f"{error}.", field="target") from error
        except HostUnknown as error:
            text = f"{error}; check its spelling."
            raise DestinationRefused("host_unknown", text, field="target") from error

    def _check_fallback(self, connection: Connection, row: DestinationWrite) -> None:
        if row.fallback_id is None:
            return
        found = destinations.get(connection, row.fallback_id, project_id=row.project_id)
        if found is None or found.id == row.id:
            text = "fallback_id: name another destination of this project, or leave it out."
            raise DestinationRefused("no_such_fallback", text, field="fallback_id")


def open_target(seal: Seal, row: StoredDestination) -> Target:
    """Return the target of a stored destination, its secrets opened.

    Raises:
        SettingsError: when no key opens them.
    """
    secret = seal.open(row.secret) if row.secret is not None else {}
    return parse_target({**row.settings, **secret})


def _merged(target: Target, fields: Mapping[str, Any]) -> Target:
    settings, secret = split(target)
    merged = {**settings, **secret, **fields}
    if merged["kind"] != target.kind:
        raise DestinationRefused("other_kind", "target.kind: it cannot change; create a new destination.")
    carried, places = SENT_WITH.get(target.kind, ("", frozenset[str]()))
    moved = [name for name in sorted(places) if merged.get(name) != settings.get(name)]
    if moved and secret.get(carried) and carried not in fields:
        place = f"target.{carried}"
        text = f"{place}: give it again, since {moved[0]} changes where it is sent."
        raise DestinationRefused("secret_needed", text, field=place)
    try:
        return parse_target({name: value for name, value in merged.items() if value is not None})
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in ("target", *fault["loc"]))
        raise DestinationRefused("invalid_body", f"{place}: {fault['msg']}.", field=place) from None


def _unchanged(row: StoredDestination, name: str, fallback_id: UUID | None) -> DestinationWrite:
    return DestinationWrite(
        id=row.id,
        project_id=row.project_id,
        name=name,
        kind=row.kind,
        settings=row.settings,
        secret=row.secret,
        hint=row.hint,
        fallback_id=fallback_id,
        created_by=row.created_by,
    )


def _name_taken() -> DestinationRefused:
    text = "name: the project has a destination of this name; choose another one."
    return DestinationRefused("name_taken", text, field="name")


def _target(destination_id: UUID) -> str:
    return f"destination:{destination_id}"


def _facts(row: StoredDestination) -> dict[str, object]:
    """Return what the audit keeps of a destination: nothing secret."""
    return {
        "name": row.name,
        "kind": row.kind,
        "settings": row.settings,
        "fallback_id": str(row.fallback_id) if row.fallback_id else None,
        "state": row.state,
    }


def _view(row: StoredDestination) -> DestinationView:
    kind: Any = row.kind
    return DestinationView(
        id=row.id,
        name=row.name,
        kind=kind,
        settings=row.settings,
        hint=row.hint,
        fallback_id=row.fallback_id,
        state=row.state,
        failing_since=row.failing_since,
        last_told_at=row.last_told_at,
        last_error=row.last_error,
        created_at=row.created_at,
    )


def rotate_secrets(pool: ConnectionPool[Connection], seal: Seal) -> int:
    """Seal every secret anew with the first key, in one transaction; return how many.

    Raises:
        SettingsError: when one cannot be opened; none is changed then.
        DependencyUnavailable: when PostgreSQL does not answer.
    """
    with transaction(pool) as connection:
        rows = destinations.sealed(connection)
        for destination_id, secret in rows:
            destinations.reseal(connection, destination_id, seal.rotate(secret))
    return len(rows)
