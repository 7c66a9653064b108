"""Creates organisations, projects and keys. A key's text exists only in the answer to its creation."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from psycopg_pool import ConnectionPool
from pydantic import TypeAdapter, ValidationError

from shared_types.envelope import TenantId
from signals.clients.postgres import Connection, transaction
from signals.domain.access.api_keys import MAX_VALID, SECRET_BYTES, Scope, key_hash, key_text
from signals.store.access import api_keys, limits, tenancy
from signals.store.detection import rules

_TENANT_ID: TypeAdapter[str] = TypeAdapter(TenantId)


class ProvisioningRefused(Exception):  # noqa: N818  # reads as what happened
    """The requested object cannot be created; the text says why, then the remedy."""


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


def create_project(pool: ConnectionPool[Connection], project_id: str, *, org_id: str, name: str) -> bool:
    """Create a project of an existing organisation, with its rules; False when that very project exists.

    Raises:
        ProvisioningRefused: when the id cannot be one, is another organisation's, or that is missing.
        DependencyUnavailable: when PostgreSQL does not answer.
    """
    _check_id(project_id)
    with transaction(pool) as connection:
        if tenancy.insert_project(connection, project_id=project_id, org_id=org_id, name=name):
            rules.insert_defaults(connection, project_id)
            return True
        existing = next((p for p in tenancy.list_projects(connection) if p.id == project_id), None)
    if existing is None:
        raise ProvisioningRefused(f"there is no organisation {org_id}: `signals orgs create {org_id}` first")
    if existing.org_id != org_id:
        raise ProvisioningRefused(f"project {project_id} belongs to another organisation; choose another id")
    return False


def issue_key(
    pool: ConnectionPool[Connection], project_id: str, scope: Scope, *, ending_oldest: bool = False
) -> IssuedKey:
    """Create a key of an existing project, beside at most one other valid key of that scope.

    With `ending_oldest` the oldest is revoked when there are two: a rotation, in which the newer one goes on.

    Raises:
        ProvisioningRefused: when there is no such project, or no room for a key.
        DependencyUnavailable: when PostgreSQL does not answer.
    """
    text, key_id = _new_key(scope), uuid4()
    with transaction(pool) as connection:
        if not api_keys.lock_project(connection, project_id):
            raise ProvisioningRefused(f"there is no project {project_id}: see `signals projects list`")
        valid = api_keys.valid_keys(connection, project_id, scope)
        surplus = valid[: max(0, len(valid) + 1 - MAX_VALID)]
        if surplus and not ending_oldest:
            raise ProvisioningRefused(_no_room(project_id, scope, valid))
        for key in surplus:
            api_keys.revoke(connection, key_id=key.key_id)
        api_keys.insert(
            connection, key_id=key_id, project_id=project_id, scope=scope, key_hash=key_hash(text)
        )
        if valid and ending_oldest:
            limits.copy_limits(connection, of=valid[-1].key_id, to=key_id)
    return IssuedKey(key_id=key_id, project_id=project_id, scope=scope, text=text)


def _new_key(scope: Scope) -> str:
    """Return a random key that fits a DSN: JavaScript takes letters, digits and `_` there.

    Leaving out every key with a `-`, about half of them, costs one of 256 random bits.
    """
    while "-" in (text := key_text(scope, secrets.token_bytes(SECRET_BYTES))):
        pass
    return text


def limit_key(
    pool: ConnectionPool[Connection],
    key_id: UUID,
    *,
    events_per_second: int | None,
    events_per_day: int | None,
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
) -> int:
    """Revoke one key, or all of a project or an organisation; return how many were valid until now.

    Raises:
        DependencyUnavailable: when PostgreSQL does not answer.
    """
    with transaction(pool) as connection:
        return api_keys.revoke(connection, key_id=key_id, project_id=project_id, org_id=org_id)


def _check_id(tenant_id: str) -> None:
    try:
        _TENANT_ID.validate_python(tenant_id)
    except ValidationError as error:
        raise ProvisioningRefused(
            "an id has 1 to 64 letters, digits, dots, dashes and underscores"
        ) from error
