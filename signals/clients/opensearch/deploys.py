"""Finds deploys shortly before an incident: what a person on call asks first."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from signals.clients.opensearch import EVENTS_INDEX
from signals.clients.opensearch.connection import Client, unavailable_when_down
from signals.domain.summary.brief import BriefEvent, BriefIncident

BEFORE: Final = timedelta(hours=1)  # guess: older deploys rarely are the cause
MOST: Final = 5


def deploys_before(client: Client, incident: BriefIncident) -> list[BriefEvent]:
    """Return the project's newest deploys to the incident's environment in the hour before it opened.

    Raises:
        DependencyUnavailable: when OpenSearch does not answer.
    """
    span = {"gte": (incident.opened_at - BEFORE).isoformat(), "lte": incident.opened_at.isoformat()}
    tenant = {"org_id": incident.org_id, "project_id": incident.project_id}
    terms = tenant | {"environment": incident.environment, "event_type": "deploy"}
    body = {
        "size": MOST,
        "query": {
            "bool": {
                "filter": [
                    *({"term": {field: value}} for field, value in terms.items()),
                    {"range": {"occurred_at": span}},
                ]
            }
        },
        "sort": [{"occurred_at": "desc"}],
    }
    with unavailable_when_down():
        hits = client.search(index=EVENTS_INDEX, body=body)["hits"]["hits"]
    return [_brief(hit["_source"]) for hit in hits]


def _brief(source: dict[str, object]) -> BriefEvent:
    attributes = source["attributes"]
    assert isinstance(attributes, dict)
    return BriefEvent(
        event_id=UUID(str(source["event_id"])),
        occurred_at=datetime.fromisoformat(str(source["occurred_at"])),
        event_type=str(source["event_type"]),
        severity=str(source["severity"]),
        attributes=attributes | {"message": source["message"]},
    )
