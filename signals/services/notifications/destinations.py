"""Manages the destinations of a project: create, change, list, test, delete. Secrets go in only."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from time import monotonic
from typing import Final
from uuid import UUID, uuid4

import structlog
from psycopg_pool import ConnectionPool

from signals.clients.outbound.guard import AddressRefused, HostUnknown, resolve
from signals.clients.outbound.senders import Sender
from signals.clients.outbound.webhook import new_signing_key
from signals.clients.postgres import REQUEST_TIMEOUT_MS, Connection, reading, transaction
from signals.clients.sealing import Seal
from signals.domain.access.principal import Caller
from signals.domain.notifications.messages import compose_test
from signals.domain.notifications.targets import (
    Target,
    WebhookTarget,
    hint,
    host_of,
    split,
)
from signals.errors import SettingsError
from signals.services.notifications.destination_bodies import (
    CreatedDestination,
    DestinationChange,
    DestinationRefused,
    DestinationView,
    NewDestination,
    TestOutcome,
    view_of,
)
from signals.services.notifications.sealed_targets import changed_target, open_target
from signals.store.access import audit
from signals.store.notifications import destinations
from signals.store.notifications.destinations import DestinationWrite, StoredDestination
from signals.store.notifications.replanning import plan_again

MAX_DESTINATIONS: Final = 50  # guess: a project's; each costs a look at every incident

log = structlog.get_logger(__name__)


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
        return [view_of(row) for row in rows]

    def get(self, caller: Caller, destination_id: UUID) -> DestinationView | None:
        """Return one destination, None when the project has no such one.

        Raises:
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        row = self._find(caller, destination_id)
        return None if row is None else view_of(row)

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
            target = changed_target(target, {"signing_keys": [made]})
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
        return CreatedDestination(destination=view_of(stored), signing_key=made)

    def change(
        self, caller: Caller, destination_id: UUID, change: DestinationChange
    ) -> DestinationView | None:
        """Change what is given; None when the project has no such destination.

        Raises:
            DestinationRefused: saying what to change.
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        current = self._find(caller, destination_id)
        while current is not None:
            row = self._changed(caller, current, change)
            with transaction(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
                held = destinations.get_locked(connection, row.id, project_id=row.project_id)
                if held is not None and _decided(held) == _decided(current):
                    stored = self._replace(connection, caller, held, row)
                    break
            current = held  # another change was faster: start from what it stored
        else:
            return None
        fields = sorted(change.model_fields_set)
        log.info("destination changed", destination_id=str(row.id), fields=fields, by=caller.actor)
        return view_of(stored)

    def _changed(
        self, caller: Caller, current: StoredDestination, change: DestinationChange
    ) -> DestinationWrite:
        fallback = change.fallback_id if "fallback_id" in change.model_fields_set else current.fallback_id
        name = change.name or current.name
        row = _unchanged(current, name, fallback)
        if change.target is not None:
            target = changed_target(self._opened(current), change.target)
            row = self._row(caller, current.id, name, target, fallback)
        enabled = current.state != "disabled" if change.enabled is None else change.enabled
        return replace(row, is_enabled=enabled)

    def _replace(
        self, connection: Connection, caller: Caller, held: StoredDestination, row: DestinationWrite
    ) -> StoredDestination:
        """Write a row over the one that is locked, and the audit's entry."""
        self._check_fallback(connection, row)
        if not destinations.update(connection, row):
            raise _name_taken()
        if held.state == "disabled" and row.is_enabled:
            plan_again(connection, row.id)
        stored = destinations.get(connection, row.id)
        assert stored is not None  # it is locked
        before = _facts(held)
        after = _facts(stored) | {"secret_replaced": stored.secret != held.secret}
        audit.record_change(
            connection, caller, "destination changed", _target(row.id), before=before, after=after
        )
        return stored

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


def _decided(row: StoredDestination) -> tuple[object, ...]:
    """Return what people decide of a destination, to see whether it changed meanwhile."""
    return row.name, row.settings, row.secret, row.fallback_id, row.state == "disabled"


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
