"""Asks a stack's core-api, with a read key, for the incident that a run should open."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import httpx2
from pydantic import BaseModel, ValidationError

from k8s.operator.conditions import timestamp
from k8s.operator.scenario.expectations import IncidentLookup

TIMEOUT_S: Final = 10.0
NEWEST: Final = 200  # the API's largest page


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """The incident to look up, the core-api to ask, and its read key."""

    url: str
    key: str
    fingerprint: str | None
    active_since: datetime


class _Row(BaseModel):
    id: str
    fingerprint: str
    summary_model: str | None = None


class _Page(BaseModel):
    incidents: tuple[_Row, ...]


Ask = Callable[[Question], IncidentLookup]


def ask(question: Question) -> IncidentLookup:
    """Look the incident up; a failure is part of the result, not an exception."""
    try:
        answer = httpx2.get(
            f"{question.url}/v1/incidents",
            params={"since": timestamp(question.active_since), "limit": str(NEWEST)},
            headers={"Authorization": f"Bearer {question.key}"},
            timeout=TIMEOUT_S,
        )
    except httpx2.HTTPError as error:
        return IncidentLookup(error=f"core-api did not answer ({type(error).__name__})")
    if answer.status_code in (401, 403):
        return IncidentLookup(error="core-api refuses the key of expect.readKeyRef: it needs scope read")
    try:
        page = _Page.model_validate_json(answer.content)
    except ValidationError:
        return IncidentLookup(error=f"core-api answered {answer.status_code} without incidents")
    wanted = [row for row in page.incidents if question.fingerprint in (None, row.fingerprint)]
    found = next((row for row in wanted if row.summary_model), wanted[0] if wanted else None)
    return (
        IncidentLookup(incident_id=found.id, summary_model=found.summary_model) if found else IncidentLookup()
    )
