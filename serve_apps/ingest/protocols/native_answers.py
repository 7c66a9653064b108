"""Answers of our own protocol: one result an event, and a problem when nothing was accepted."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from serve_apps.http.answers import json_answer
from serve_apps.http.problems import Problem, unavailable
from signals.services.events.ingestion import EventResult


def single_answer(request: Request, result: EventResult) -> Response:
    """Answer for one event.

    Raises:
        Problem: 503 when Kafka did not acknowledge it, 422 when it is not acceptable.
    """
    if result.status == "accepted":
        return json_answer(request, {"event_id": result.event_id, "status": "accepted"}, status=202)
    if result.status == "unavailable":
        raise unavailable(result.message or "")
    raise Problem(422, result.code or "invalid_event", result.message or "", members={"field": result.field})


def batch_answer(request: Request, results: list[EventResult]) -> Response:
    """Answer for a batch, with a result an event.

    Raises:
        Problem: 503 when Kafka did not acknowledge all that is acceptable, 422 when nothing is.
    """
    accepted = sum(result.status == "accepted" for result in results)
    body = {
        "accepted": accepted,
        "rejected": len(results) - accepted,
        "results": [_shown(r) for r in results],
    }
    if any(result.status == "unavailable" for result in results):
        problem = unavailable("Kafka did not acknowledge all events; send the batch again with the same ids.")
        raise Problem(problem.status, problem.code, problem.detail, headers=problem.headers, members=body)
    if not accepted:
        raise Problem(
            422, "nothing_accepted", "No event of this batch is acceptable; see results.", members=body
        )
    return json_answer(request, body, status=202 if accepted == len(results) else 207)


def _shown(result: EventResult) -> dict[str, Any]:
    if result.status == "accepted":  # almost always
        return {"index": result.position, "event_id": result.event_id, "status": result.status}
    shown = {name: value for name, value in result._asdict().items() if value is not None}
    return {"index": shown.pop("position"), **shown}
