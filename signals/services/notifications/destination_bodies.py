"""Destinations as people send and read them over HTTP, and why one is refused."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from signals.domain.notifications.targets import Target, TargetKind
from signals.store.notifications.destinations import DestinationState, StoredDestination


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


def view_of(row: StoredDestination) -> DestinationView:
    """Return what people see of a stored destination."""
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
