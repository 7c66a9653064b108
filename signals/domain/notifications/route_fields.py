"""Reads a route as people write it, and as the table keeps it."""

from collections.abc import Mapping
from datetime import time
from typing import Annotated, Any, Final, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from shared_types import Environment
from signals.domain.detection.severity import IncidentSeverity
from signals.domain.notifications.routing import (
    NoticeVerdict,
    QuietHours,
    Route,
    SeverityWord,
)

MAX_PATTERN: Final = 200  # guess: a fingerprint's parts are bounded, and a pattern names some of them

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError("write a time zone like Europe/Berlin or UTC") from None
    return name


def _without_nul(text: str) -> str:
    if not text.isprintable():
        raise ValueError("a pattern has printable characters only")
    return text


ClockTime = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]


class QuietFields(BaseModel):
    """Quiet hours; what comes meanwhile waits until they end."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    zone: Annotated[str, Field(max_length=64), AfterValidator(_zone)] = Field(
        default="UTC", description="like Europe/Berlin"
    )
    begins: ClockTime = Field(description="like 22:00")
    ends: ClockTime = Field(description="like 07:00; earlier than begins: the next day")
    days: list[Day] = Field(
        default=["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
        min_length=1,
        max_length=7,
        description="the days on which quiet hours begin",
    )
    passes: SeverityWord | None = Field(
        default="critical", description="least severity that is told at once; null: none"
    )


class RouteFields(BaseModel):
    """Which incidents of the project a destination is notified about."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    destination_id: UUID
    environments: list[Environment] | None = Field(
        default=None, min_length=1, max_length=3, description="null: every one"
    )
    min_severity: SeverityWord = "warn"
    verdicts: list[NoticeVerdict] = Field(
        default=["confirmed"],
        min_length=1,
        max_length=3,
        description="what is unconfirmed, or opened while project or rule was learning, only on request",
    )
    fingerprint: Annotated[str, AfterValidator(_without_nul)] | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_PATTERN,
        description="pattern with * and ?, like *|/checkout*|prod",
    )
    quiet: QuietFields | None = None


def route_of(route_id: UUID, destination_id: UUID, fields: Mapping[str, Any]) -> Route:
    """Return a stored route for matching; `fields` are those of the table."""
    quiet = fields["quiet"]
    environments = fields["environments"]
    return Route(
        id=route_id,
        destination_id=destination_id,
        environments=None if environments is None else frozenset(environments),
        min_severity=IncidentSeverity.parse(fields["min_severity"]),
        verdicts=frozenset(fields["verdicts"]),
        fingerprint=fields["fingerprint"],
        quiet=_quiet_of(quiet) if quiet else None,
    )


def _quiet_of(fields: Mapping[str, Any]) -> QuietHours:
    passes = fields["passes"]
    return QuietHours(
        zone=ZoneInfo(fields["zone"]),
        begins=time.fromisoformat(fields["begins"]),
        ends=time.fromisoformat(fields["ends"]),
        days=frozenset(fields["days"]),
        passes=None if passes is None else IncidentSeverity.parse(passes),
    )
