"""The caller of a request: its tenancy, its rights and its limits."""

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from shared_types import Tenancy
from signals.domain.access.limits import NO_LIMITS, KeyLimits
from signals.domain.access.people import Role
from signals.domain.access.scopes import Right, Scope
from signals.domain.events.door_settings import DEFAULT_SETTINGS, DoorSettings


class Caller(Protocol):
    """A key or a person that asks a service to change a project; `actor` is the name in its history."""

    @property
    def tenancy(self) -> Tenancy:
        """The organisation and the project."""

    @property
    def actor(self) -> str:
        """`key:ID` or `user:ID`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """An authenticated API key, or the token of the person `user_id`; `standing` is its scope or their role.

    `origins` are the pages that a public key is for, empty for any; `doors` are its project's settings.
    """

    key_id: UUID
    tenancy: Tenancy
    rights: frozenset[Right]
    standing: Scope | Role
    user_id: UUID | None = None
    limits: KeyLimits = NO_LIMITS
    origins: tuple[str, ...] = ()
    doors: DoorSettings = DEFAULT_SETTINGS

    @property
    def actor(self) -> str:
        """The caller as timelines and the audit name it."""
        return f"key:{self.key_id}" if self.user_id is None else f"user:{self.user_id}"
