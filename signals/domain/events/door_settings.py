"""Settings of a project for its clients' payloads: which events are signups, and what is kept beside.

Without settings the built-in names hold, and only the allow-list of docs/concepts/foreign-events.md is kept.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Self

from signals.domain.events.signup_names import SIGNUP_NAMES, plain_name

MAX_SIGNUP_NAMES: Final = 100  # guess: of one project
MAX_NAME_CHARS: Final = 200
IDENTIFY: Final = "identify"


class KeptField(StrEnum):
    """A part of payloads that is kept only when its project asks for it; the masks hold for it, too."""

    USER_ID = "user_id"
    REQUEST_URL = "request_url"
    REQUEST_DATA = "request_data"
    BREADCRUMBS = "breadcrumbs"
    LOCALS = "locals"
    LOG_ATTRIBUTES = "log_attributes"


KEPT_FIELDS: Final = {
    KeptField.USER_ID: "the id of the user, as sent",
    KeptField.REQUEST_URL: "the address of the request, with its query",
    KeptField.REQUEST_DATA: "the body of the request, as far as the client sends it",
    KeptField.BREADCRUMBS: "the last 20 breadcrumbs: category and message",
    KeptField.LOCALS: "local variables of the function that failed",
    KeptField.LOG_ATTRIBUTES: "attributes of logs and spans about users, requests, addresses and queries",
}
"""What each opt-in keeps, for people."""


@dataclass(frozen=True, slots=True)
class DoorSettings:
    """Settings of one project; `signups` are plain names, as `plain_name` writes them.

    Vercel signs its hooks with `vercel_secret`, which it makes up itself; empty when it is unknown.
    """

    signups: frozenset[str] = frozenset(map(plain_name, SIGNUP_NAMES))
    kept: frozenset[str] = frozenset()
    vercel_secret: str = field(default="", repr=False)

    @classmethod
    def of(
        cls,
        signup_names: list[str] | None,
        kept_fields: list[str] | None,
        vercel_secret: str | None = None,
    ) -> Self:
        """Build the settings from what is stored; None is the default of each."""
        kept, secret = frozenset(kept_fields or ()), vercel_secret or ""
        if signup_names is None:
            return cls(kept=kept, vercel_secret=secret)
        return cls(frozenset(map(plain_name, signup_names)), kept, secret)

    def is_signup(self, name: str) -> bool:
        """Whether an event of this name is a signup, compared without case, spaces, `-` and `_`."""
        return plain_name(name) in self.signups

    def keeps(self, field: KeptField) -> bool:
        """Whether the project asks to keep this part."""
        return field in self.kept


DEFAULT_SETTINGS: Final = DoorSettings()
