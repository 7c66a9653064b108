"""Reads and changes a project's settings for its clients' payloads: signup names, and fields to keep.

Replicas of ingest-api read them with each key, so a change reaches them within `SIGNALS_KEY_CACHE_S`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection, transaction
from signals.domain.events.door_settings import (
    KEPT_FIELDS,
    MAX_NAME_CHARS,
    MAX_SIGNUP_NAMES,
    KeptField,
)
from signals.domain.events.signup_names import SIGNUP_NAMES
from signals.store.access import audit
from signals.store.events import door_settings


class DoorSettingsRefused(Exception):  # noqa: N818  # reads as what happened
    """The settings cannot be those of a project; `field` is at fault, and the text says why."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectDoors:
    """Settings of a project for the payloads of other products' clients.

    `signup_names` are the events that count as signups, the built-in list while `has_own_names` is false;
    `kept_fields` are parts of payloads that are kept beside the allow-list; `possible_fields` explains
    all that there are.
    """

    signup_names: list[str]
    has_own_names: bool
    kept_fields: list[KeptField]
    has_vercel_secret: bool
    possible_fields: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorsChange:
    """New settings; None leaves one as it is, `default_names` returns to the built-in list of signups.

    An empty `vercel_secret` forgets it.
    """

    signup_names: Sequence[str] | None = None
    kept_fields: Sequence[str] | None = None
    default_names: bool = False
    vercel_secret: str | None = field(default=None, repr=False)


class DoorSettingsEditor:
    """Reads and changes the settings of projects; safe to call from several threads."""

    def __init__(self, pool: ConnectionPool[Connection]) -> None:
        self._pool = pool

    def read(self, project_id: str) -> ProjectDoors:
        """Return the settings of a project.

        Raises:
            DoorSettingsRefused: when there is no such project.
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        with transaction(self._pool) as connection:
            return _described(_row(connection, project_id))

    def change(self, project_id: str, change: DoorsChange, *, actor: str) -> ProjectDoors:
        """Change the settings of a project, note it in the audit, and return them as they are now.

        Raises:
            DoorSettingsRefused: when there is no such project, or a value is wrong.
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        names = None if change.signup_names is None else _names(change.signup_names)
        fields = None if change.kept_fields is None else _fields(change.kept_fields)
        secret = None if change.vercel_secret is None else _secret(change.vercel_secret)
        with transaction(self._pool) as connection:
            before = _row(connection, project_id)
            own = before.signup_names if names is None else names
            after = door_settings.DoorSettingsRow(
                signup_names=None if change.default_names else own,
                kept_fields=before.kept_fields if fields is None else fields,
                vercel_secret=before.vercel_secret if secret is None else secret or None,
            )
            door_settings.write(connection, project_id, after)
            audit.record_in_project(
                connection,
                project_id,
                actor=actor,
                verb="opt-ins changed",
                target=f"project:{project_id}",
                detail={"before": _facts(before), "after": _facts(after)},
            )
        return _described(after)


def _row(connection: Connection, project_id: str) -> door_settings.DoorSettingsRow:
    row = door_settings.read(connection, project_id)
    if row is None:
        raise DoorSettingsRefused("project", f"there is no project {project_id}: see `signals projects list`")
    return row


def _facts(row: door_settings.DoorSettingsRow) -> dict[str, object]:
    """Return what the audit keeps: that there is a secret, not which."""
    return {
        "signup_names": row.signup_names,
        "kept_fields": row.kept_fields,
        "has_vercel_secret": bool(row.vercel_secret),
    }


def _described(row: door_settings.DoorSettingsRow) -> ProjectDoors:
    own = row.signup_names
    return ProjectDoors(
        signup_names=list(SIGNUP_NAMES) if own is None else own,
        has_own_names=own is not None,
        kept_fields=[field for field in KeptField if field in (row.kept_fields or ())],
        has_vercel_secret=bool(row.vercel_secret),
        possible_fields={field.value: meaning for field, meaning in KEPT_FIELDS.items()},
    )


def _names(given: Sequence[str]) -> list[str]:
    names = list(dict.fromkeys(name.strip() for name in given))
    if len(names) > MAX_SIGNUP_NAMES:
        raise DoorSettingsRefused("signup_names", f"name {MAX_SIGNUP_NAMES} events at most")
    if any(not name or len(name) > MAX_NAME_CHARS or "\x00" in name for name in names):
        raise DoorSettingsRefused("signup_names", f"a name has 1 to {MAX_NAME_CHARS} characters")
    return names


def _secret(given: str) -> str:
    secret = given.strip()
    if len(secret) > MAX_NAME_CHARS or not secret.isprintable():
        raise DoorSettingsRefused("vercel_secret", f"it has {MAX_NAME_CHARS} printable characters at most")
    return secret


def _fields(given: Sequence[str]) -> list[str]:
    if unknown := [name for name in given if name not in list(KeptField)]:
        known = ", ".join(KeptField)
        raise DoorSettingsRefused("kept_fields", f"{unknown[0][:40]!r} cannot be kept; there are {known}")
    return sorted(set(given))
