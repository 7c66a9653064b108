"""People: their roles, what a role may do, and how long they stay signed in."""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final, Literal, get_args
from uuid import UUID

from shared_types import Tenancy
from signals.domain.access.scopes import RIGHTS, Right, Scope

SESSION_IDLE: Final = timedelta(hours=12)
SESSION_LONGEST: Final = timedelta(days=14)
LINK_LASTS: Final = timedelta(minutes=15)  # guess: from a terminal into a browser
INVITATION_LASTS: Final = timedelta(days=7)  # guess: somewhere in a colleague's inbox over a holiday
TOKEN_BYTES: Final = 32  # 256 bits, like an API key
MAX_EMAIL: Final = 254  # characters; RFC 5321, section 4.5.3.1.3 less the brackets
MAX_NAME: Final = 80  # characters; guess: a line of the header

PersonRight = Literal["read", "respond", "administer"]
PERSON_RIGHTS: Final[tuple[PersonRight, ...]] = get_args(PersonRight)
"""What a page or an action asks for, each one including those before it."""


class Role(StrEnum):
    """The part of a person in one organisation."""

    VIEWER = "viewer"
    RESPONDER = "responder"
    ADMIN = "admin"

    def may(self, right: PersonRight) -> bool:
        """Tell whether the role has the right."""
        return PERSON_RIGHTS.index(right) <= list(Role).index(self)


ROLE_RIGHTS: Final[Mapping[Role, frozenset[Right]]] = {
    Role.VIEWER: frozenset({Right.READ}),
    Role.RESPONDER: RIGHTS[Scope.READ],
    Role.ADMIN: RIGHTS[Scope.ADMIN],
}
"""What a person's token may do at the API. Events are sent with keys: those outlive a membership."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectAccess:
    """A project that a person may open, and the role there."""

    project_id: str
    project_name: str
    org_id: str
    org_name: str
    role: Role

    @property
    def tenancy(self) -> Tenancy:
        """The organisation and the project."""
        return Tenancy(self.org_id, self.project_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonInProject:
    """A person who asks a service to change a project."""

    tenancy: Tenancy
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A signed-in person; `projects` are those of their organisations, by organisation and id."""

    user_id: UUID
    name: str
    email: str
    session_id: UUID
    projects: tuple[ProjectAccess, ...]

    @property
    def actor(self) -> str:
        """The person as the audit names them."""
        return f"user:{self.user_id}"

    def project(self, project_id: str) -> ProjectAccess | None:
        """Return their access to a project, None when they have none."""
        return next((one for one in self.projects if one.project_id == project_id), None)


_EMAIL: Final = re.compile(r"[^\s@<>\"',;:\\]+@[^\s@<>\"',;:\\]+", re.ASCII)
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


def is_email(text: str) -> bool:
    """Tell whether a text can be an address; only a message to it would prove more."""
    is_short = text.isascii() and text.isprintable() and len(text) <= MAX_EMAIL
    return is_short and _EMAIL.fullmatch(text) is not None


def token_text(secret: bytes) -> str:
    """Write the token of a link or a session for `TOKEN_BYTES` random bytes."""
    return base64.urlsafe_b64encode(secret).rstrip(b"=").decode("ascii")


def token_in(text: str) -> str | None:
    """Return the token of a sign-in link or of its last part, None when there is none."""
    token = text.strip().rpartition("#")[2]
    return token if _TOKEN.fullmatch(token) else None


def token_hash(token: str) -> str:
    """Return what is stored instead of a token: SHA-256 in hex."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
