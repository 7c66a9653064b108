"""The scopes of API keys: the rights of each, the form of its text, and how many keys may be valid.

This table is the only place that says what a key may do. Described in docs/concepts/access.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Scope(StrEnum):
    """The permitted use of a key; it is part of the key's text, so the hash covers it."""

    INGEST = "ingest"
    READ = "read"
    ADMIN = "admin"
    PUBLIC = "public"


class Right(StrEnum):
    """One thing that a caller may do; an endpoint asks for one."""

    SEND_EVENTS = "send events by our own protocol"
    SEND_BY_CLIENTS = "send by clients of other products, and by pages"
    SEND_FROM_PAGES = "stand in a page: arrive with an Origin header"
    SEND_SIGNUPS = "send signups"
    SEND_DEPLOYS = "send deploys"
    READ = "read incidents, events and the ledger"
    CHANGE_INCIDENTS = "set the status of an incident"
    CHANGE_RULES = "create, edit, disable and remove rules"
    CHANGE_NOTIFICATIONS = "set destinations and routes of notifications"
    READ_AUDIT = "read who changed keys, rules, destinations and people"
    CHANGE_DOORS = "set what a project keeps of its clients' payloads, and which events are signups"


RIGHTS: Final[Mapping[Scope, frozenset[Right]]] = {
    Scope.INGEST: frozenset(
        {Right.SEND_EVENTS, Right.SEND_BY_CLIENTS, Right.SEND_SIGNUPS, Right.SEND_DEPLOYS}
    ),
    # There is no scope for the change of a status alone: it would cost every team one more key.
    Scope.READ: frozenset({Right.READ, Right.CHANGE_INCIDENTS}),
    Scope.ADMIN: frozenset(
        {
            Right.READ,
            Right.CHANGE_INCIDENTS,
            Right.READ_AUDIT,
            Right.CHANGE_DOORS,
            Right.CHANGE_RULES,
            Right.CHANGE_NOTIFICATIONS,
        }
    ),
    Scope.PUBLIC: frozenset({Right.SEND_BY_CLIENTS, Right.SEND_FROM_PAGES}),
}
"""Rights of every key of a scope."""

OPTIONAL_RIGHTS: Final[Mapping[Scope, frozenset[Right]]] = {
    Scope.PUBLIC: frozenset({Right.SEND_SIGNUPS, Right.SEND_DEPLOYS})
}
"""Rights that a single key of a scope may have beside."""


RIGHT_TO_SEND: Final[Mapping[str, Right]] = {
    "signup": Right.SEND_SIGNUPS,
    "deploy": Right.SEND_DEPLOYS,
}
"""Event types that need a right of their own: a stranger with a page's key could hide a drop of signups."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeForm:
    """The pattern of a scope's keys behind `sig_SCOPE_`, and how many of a project may be valid."""

    pattern: str
    max_valid: int


_TWO_FOR_ROTATION: Final = ScopeForm(pattern=r"[A-Za-z0-9_-]{43}", max_valid=2)
FORMS: Final[Mapping[Scope, ScopeForm]] = {
    Scope.INGEST: _TWO_FOR_ROTATION,  # the one in use, and the one to change to
    Scope.READ: _TWO_FOR_ROTATION,
    Scope.ADMIN: _TWO_FOR_ROTATION,
    # Hex fits a DSN in JavaScript. Guess: twenty; a shipped build keeps its key for years.
    Scope.PUBLIC: ScopeForm(pattern=r"[0-9a-f]{64}", max_valid=20),
}


def scopes_with(right: Right) -> str:
    """Name the scopes whose keys have a right, for a sentence."""
    return " or ".join(scope for scope in Scope if right in RIGHTS[scope])
