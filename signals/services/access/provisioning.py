"""Creates organisations, projects and keys. A key's text exists only in the answer to its creation."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from uuid import UUID, uuid4

from psycopg_pool import ConnectionPool
from pydantic import TypeAdapter, ValidationError

from shared_types.envelope import TenantId
from signals.clients.postgres import REQUEST_TIMEOUT_MS, Connection, reading, transaction
from signals.domain.access.api_keys import SECRET_BYTES, key_hash, key_text
from signals.domain.access.origins import MAX_ORIGINS, origin_pattern
from signals.domain.access.scopes import FORMS, RIGHT_TO_SEND, Scope
from signals.store.access import api_keys, audit, limits, tenancy
from signals.store.detection import rules

_TENANT_ID: TypeAdapter[str] = TypeAdapter(TenantId)


class ProvisioningRefused(Exception):  # noqa: N818  # reads as what happened
    """The requested object cannot be created; the text says why, then the remedy."""


class NoRoomForKey(ProvisioningRefused):
    """A project has as many valid keys of a scope as it may have: `keys`, oldest first."""

    def __init__(self, project_id: str, scope: Scope, keys: Sequence[api_keys.KeyRow]) -> None:
        super().__init__(_no_room(project_id, scope, keys))
        self.scope = scope
        self.keys = keys


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedKey:
    """A new key; `text` is shown once and stored nowhere."""

    key_id: UUID
    project_id: str
    scope: Scope
    text: str = field(repr=False)


def create_org(pool: ConnectionPool[Connection], org_id: str, name: str) -> bool:
    """Create an organisation; False when it exists.

    Raises:
        ProvisioningRefused: when the id cannot be one.
        DependencyUnavailable: when PostgreSQL does not answer.
    """
    _check_id(org_id)
    with transaction(pool) as connection:
        return tenancy.insert_org(connection, org_id=org_id, name=name)


def create_project(
    pool: ConnectionPool[Connection], project_id: str, *, org_id: str, name: str, actor: str | None = None
) -> bool:
    """Create a project of an existing organisation, with its rules; False when that very project exists.

    An `actor` is noted in the audit.

    Raises:
        ProvisioningRefused: when the id cannot be one, is another organisation's, or that is missing.
        DependencyUnavailable: when PostgreSQL does not answer.
    """
    _check_id(project_id)
    with transaction(pool) as connection:
        if tenancy.insert_project(connection, project_id=project_id, org_id=org_id, name=name):
            rules.insert_defaults(connection, project_id)
            if actor is not None:
                target = f"project:{project_id}"
                audit.record(connection, org_id=org_id, actor=actor, verb="project created", target=target)
            return True
        existing = next((p for p in tenancy.list_projects(connection) if p.id == project_id), None)
    if existing is None:
        raise ProvisioningRefused(f"there is no organisation {org_id}: `signals orgs create {org_id}` first")
    if existing.org_id != org_id:
        raise ProvisioningRefused(f"project {project_id} belongs to another organisation; choose another id")
    return False


def rename_project(pool: ConnectionPool[Connection], project_id: str, name: str, *, actor: str) -> None:
    """Give a project another name, and note both; the same name changes nothing.

    Raises:
        DependencyUnavailable: when PostgreSQL does not answer.
    """
    with transaction(pool) as connection:
        former = tenancy.rename_project(connection, project_id, name)
        if former not in (None, name):
            audit.record_in_project(
                connection,
                project_id,
                actor=actor,
                verb="project renamed",
                target=f"project:{project_id}",
                detail={"before": {"name": former}, "after": {"name": name}},
            )


def no_such_project(project_id: str) -> ProvisioningRefused:
    """Return the refusal that names the remedy."""
    return ProvisioningRefused(f"there is no project {project_id}: see `signals projects list`")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyOptions:
    """Properties of a new key; None stands for the default of its limit.

    `origins` and `allowed` (event types) are for a public key only.
    """

    events_per_second: int | None = None
    events_per_day: int | None = None
    origins: Sequence[str] = ()
    allowed: Sequence[str] = ()

    @property
    def has_limits(self) -> bool:
        """Whether a limit differs from the default."""
        return (self.events_per_second, self.events_per_day) != (None, None)


NO_OPTIONS: Final = KeyOptions()


def issue_key(
    pool: ConnectionPool[Connection],
    project_id: str,
    scope: Scope,
    *,
    ending_oldest: bool = False,
    options: KeyOptions = NO_OPTIONS,
    actor: str | None = None,
) -> IssuedKey:
    """Create a key of an existing project, if its scope has room (`signals.domain.access.scopes.FORMS`).

    With `ending_oldest` the oldest is revoked when there is no room: a rotation, in which the newer ones go
    on. The new key then has the properties of the newest. An `actor` is noted in the audit, here and below.

    Raises:
        ProvisioningRefused: when there is no such project, no room for a key, or an option is wrong.
        DependencyUnavailable: when PostgreSQL does not answer.
    """
    text, key_id = _new_key(scope), uuid4()
    options = _checked(options, scope)
    with transaction(pool) as connection:
        if not api_keys.lock_project(connection, project_id):
            raise no_such_project(project_id)
        valid = api_keys.valid_keys(connection, project_id, scope)
        surplus = valid[: max(0, len(valid) + 1 - FORMS[scope].max_valid)]
        if surplus and not ending_oldest:
            raise NoRoomForKey(project_id, scope, valid)
        for key in surplus:
            _revoke(connection, key.key_id, actor)
        api_keys.insert(
            connection, key_id=key_id, project_id=project_id, scope=scope, key_hash=key_hash(text)
        )
        _set_options(connection, key_id, scope, options)
        if valid and ending_oldest:
            limits.copy_limits(connection, of=valid[-1].key_id, to=key_id)
            api_keys.copy_pages(connection, of=valid[-1].key_id, to=key_id)
        if actor is not None:
            audit.record_about_key(connection, key_id, actor=actor, verb=f"{scope} key created")
    return IssuedKey(key_id=key_id, project_id=project_id, scope=scope, text=text)


def _checked(options: KeyOptions, scope: Scope) -> KeyOptions:
    """Return the options as they are stored.

    Raises:
        ProvisioningRefused: when one is wrong, or is not for a key of this scope.
    """
    if scope is not Scope.PUBLIC and (options.origins or options.allowed):
        raise ProvisioningRefused(
            f"a key of scope {scope} must not stand in a page: choose the scope {Scope.PUBLIC}"
        )
    return replace(options, origins=_origins(options.origins), allowed=_allowed(options.allowed))


def _set_options(connection: Connection, key_id: UUID, scope: Scope, options: KeyOptions) -> None:
    if scope is Scope.PUBLIC:
        api_keys.set_pages(connection, key_id, origins=options.origins, allowed=options.allowed)
    if options.has_limits:
        limits.set_limits(
            connection,
            key_id,
            events_per_second=options.events_per_second,
            events_per_day=options.events_per_day,
        )


def _revoke(connection: Connection, key_id: UUID, actor: str | None) -> None:
    api_keys.revoke(connection, key_id=key_id)
    if actor is not None:
        audit.record_about_key(connection, key_id, actor=actor, verb="key revoked")


def _new_key(scope: Scope) -> str:
    """Return a random key that fits a DSN: JavaScript takes letters, digits and `_` there.

    Leaving out every key with a `-`, about half of them, costs one of 256 random bits.
    """
    while "-" in (text := key_text(scope, secrets.token_bytes(SECRET_BYTES))):
        pass
    return text


def set_pages(
    pool: ConnectionPool[Connection],
    key_id: UUID,
    *,
    origins: Sequence[str],
    allowed: Sequence[str],
    actor: str | None = None,
) -> None:
    """Set for which pages a public key is (none: for all), and which event types it may send beside.

    Raises:
        ProvisioningRefused: when there is no such key of scope public, or an option is wrong.
        DependencyUnavailable: when PostgreSQL does not answer.
    """
    checked_origins, checked_types = _origins(origins), _allowed(allowed)
    with transaction(pool) as connection:
        if not api_keys.set_pages(connection, key_id, origins=checked_origins, allowed=checked_types):
            raise ProvisioningRefused(f"there is no key {key_id} of scope public: see `signals keys list`")
        if actor is not None:
            detail = {"origins": checked_origins, "allowed": checked_types}
            audit.record_about_key(connection, key_id, actor=actor, verb="key's pages set", detail=detail)


def _origins(origins: Sequence[str]) -> list[str]:
    patterns: list[str] = []
    for text in origins:
        if (pattern := origin_pattern(text)) is None:
            raise ProvisioningRefused(
                f"{text!r} is no origin: write https://shop.example or https://*.shop.example"
            )
        patterns.append(pattern)
    if len(patterns) > MAX_ORIGINS:
        raise ProvisioningRefused(f"a key has at most {MAX_ORIGINS} origins: make another key")
    return patterns


def _allowed(event_types: Sequence[str]) -> list[str]:
    if unknown := sorted(set(event_types) - set(RIGHT_TO_SEND)):
        known = " and ".join(RIGHT_TO_SEND)
        raise ProvisioningRefused(f"{unknown[0]!r} need not be allowed: only {known} have to be")
    return sorted(set(event_types))


def limit_key(
    pool: ConnectionPool[Connection],
    key_id: UUID,
    *,
    events_per_second: int | None,
    events_per_day: int | None,
    actor: str | None = None,
) -> None:
    """Set the limits of a key: None for the environment's, 0 for none.

    Raises:
        ProvisioningRefused: when there is no such key.
        DependencyUnavailable: when PostgreSQL does not answer.
    """
    with transaction(pool) as connection:
        if not limits.set_limits(
            connection, key_id, events_per_second=events_per_second, events_per_day=events_per_day
        ):
            raise ProvisioningRefused(f"there is no key {key_id}: see `signals keys list`")
        if actor is not None:
            detail = {"events_per_second": events_per_second, "events_per_day": events_per_day}
            audit.record_about_key(connection, key_id, actor=actor, verb="key limited", detail=detail)


def is_key_used(pool: ConnectionPool[Connection], project_id: str, key_id: UUID) -> bool:
    """Tell whether a program has used a key of a project; a use is noted within half a minute.

    Raises:
        DependencyUnavailable: when PostgreSQL does not answer.
    """
    with reading(pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
        return api_keys.is_used(connection, project_id, key_id)


def _no_room(project_id: str, scope: Scope, valid: Sequence[api_keys.KeyRow]) -> str:
    named = " and ".join(f"{key.key_id} ({_use(key)})" for key in valid)
    return (
        f"project {project_id} has {len(valid)} valid keys of scope {scope} already: {named}; "
        "end one with `signals keys revoke ID` first"
    )


def _use(key: api_keys.KeyRow) -> str:
    return f"last used {key.last_used_at:%Y-%m-%d %H:%M} UTC" if key.last_used_at else "never used"


def revoke_keys(
    pool: ConnectionPool[Connection],
    *,
    key_id: UUID | None = None,
    project_id: str | None = None,
    org_id: str | None = None,
    actor: str | None = None,
) -> int:
    """Revoke one key, or all of a project or an organisation; return how many were valid until now.

    Raises:
        DependencyUnavailable: when PostgreSQL does not answer.
    """
    with transaction(pool) as connection:
        revoked = api_keys.revoke(connection, key_id=key_id, project_id=project_id, org_id=org_id)
        for one in revoked if actor is not None else ():
            audit.record_about_key(connection, one, actor=str(actor), verb="key revoked")
        return len(revoked)


def _check_id(tenant_id: str) -> None:
    try:
        _TENANT_ID.validate_python(tenant_id)
    except ValidationError as error:
        raise ProvisioningRefused(
            "an id has 1 to 64 letters, digits, dots, dashes and underscores"
        ) from error
