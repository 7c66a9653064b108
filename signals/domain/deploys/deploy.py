"""A deploy as an event of type `deploy` tells of it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from shared_types import Envelope, Severity

MAX_TEXT_CHARS: Final = 128  # of a service, a release before, a person; as a label may have
MAX_LINK_CHARS: Final = 1_000

DeployStatus = Literal["success", "failure"]

_FAILED: Final = frozenset({"failure", "failed", "error", "rolled_back"})
_SERVICE: Final = ("service", "service.name", "service_name", "component")
_PREVIOUS: Final = ("previous_release", "previous", "previous_version")
_BY_WHOM: Final = ("by", "actor", "deployed_by", "author")
_LINK: Final = ("url", "link")
_HTTP: Final = re.compile(r"https?://[^\s\"'<>]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deploy:
    """One deploy; `event_id` is its event's. What an event does not say is None."""

    project_id: str
    event_id: UUID
    environment: str
    release: str | None
    previous: str | None
    service: str | None
    status: DeployStatus
    by_whom: str | None
    link: str | None
    occurred_at: datetime
    received_at: datetime


def deploy_of(event: Envelope) -> Deploy:
    """Read a deploy from its event: attributes first, then the payload."""
    said = {**event.payload, **event.attributes.model_dump(mode="json", exclude_none=True)}
    link = _text(said, _LINK, MAX_LINK_CHARS)
    status = (_text(said, ("status",)) or "").casefold()
    failed = status in _FAILED or event.severity in (Severity.ERROR, Severity.CRITICAL)
    return Deploy(
        project_id=event.project_id,
        event_id=event.event_id,
        environment=event.environment.value,
        release=_text(said, ("release",)),
        previous=_text(said, _PREVIOUS),
        service=_text(said, _SERVICE),
        status="failure" if failed else "success",
        by_whom=_text(said, _BY_WHOM),
        link=link if link and _HTTP.fullmatch(link) else None,
        occurred_at=event.occurred_at,
        received_at=event.received_at,
    )


def _text(said: Mapping[str, object], names: tuple[str, ...], longest: int = MAX_TEXT_CHARS) -> str | None:
    """Return the first of these members that is text, as one printable line."""
    for name in names:
        value = said.get(name)
        if isinstance(value, str):
            line = " ".join("".join(c if c.isprintable() else " " for c in value[: 4 * longest]).split())
            if line:
                return line[:longest]
    return None
