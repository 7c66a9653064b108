"""Asks a stack's core-api, as a reader with a key, for the incident that a run should lead to."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import httpx2
from pydantic import BaseModel, ValidationError

from k8s.operator.conditions import timestamp
from k8s.operator.scenario.expecting import Sighting

TIMEOUT_S: Final = 10.0
NEWEST: Final = 200  # the API's largest page


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which incident is looked for, where, and with which read key."""

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


Ask = Callable[[Question], Sighting]


def ask(question: Question) -> Sighting:
    """Return what there is; a failure is part of the answer, not an exception."""
    try:
        answer = httpx2.get(
            f"{question.url}/v1/incidents",
            params={"since": timestamp(question.active_since), "limit": str(NEWEST)},
            headers={"Authorization": f"Bearer {question.key}"},
            timeout=TIMEOUT_S,
        )
    except httpx2.HTTPError as error:
        return Sighting(error=f"core-api did not answer ({type(error).__name__})")
    if answer.status_code in (401, 403):
        return Sighting(error="core-api refuses the key of expect.readKeyRef: it needs scope read")
    try:
        page = _Page.model_validate_json(answer.content)
    except ValidationError:
        return Sighting(error=f"core-api answered {answer.status_code} without incidents")
    wanted = [row for row in page.incidents if question.fingerprint in (None, row.fingerprint)]
    found = next((row for row in wanted if row.summary_model), wanted[0] if wanted else None)
    return Sighting(incident_id=found.id, summary_model=found.summary_model) if found else Sighting()
