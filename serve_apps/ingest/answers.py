"""What ingest-api answers: one result an event, and a problem when nothing was accepted."""

from math import ceil
from typing import Any

import orjson
from starlette.responses import Response

from serve_apps.http.problems import Problem, unavailable
from signals.domain.access.limits import Exceeded
from signals.services.events.ingestion import EventResult


def single_answer(result: EventResult) -> Response:
    """Answer for one event.

    Raises:
        Problem: 503 when Kafka did not acknowledge it, 422 when it is not acceptable.
    """
    if result.status == "accepted":
        return _json(202, {"event_id": result.event_id, "status": "accepted"})
    if result.status == "unavailable":
        raise unavailable(result.message or "")
    raise Problem(422, result.code or "invalid_event", result.message or "", members={"field": result.field})


def batch_answer(results: list[EventResult]) -> Response:
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
    return _json(202 if accepted == len(results) else 207, body)


def _shown(result: EventResult) -> dict[str, Any]:
    if result.status == "accepted":  # almost always
        return {"index": result.position, "event_id": result.event_id, "status": result.status}
    shown = {name: value for name, value in result._asdict().items() if value is not None}
    return {"index": shown.pop("position"), **shown}


def _json(status: int, body: object) -> Response:
    return Response(orjson.dumps(body), status_code=status, media_type="application/json")


def limit_exceeded(exceeded: Exceeded) -> Problem:
    """Return the 429 that says which limit, and when the same request will be accepted."""
    per = {"events_per_second": "second", "events_per_day": "UTC day"}[exceeded.limit]
    wait_s = max(1, ceil(exceeded.retry_after_s))  # the header has whole seconds
    return Problem(
        429,
        "limit_exceeded",
        f"This key may send {exceeded.allowed} events a {per}; nothing of this request was taken. "
        f"Send it again in {wait_s} s.",
        headers={"Retry-After": str(wait_s)},
        members={"limit": exceeded.limit, "allowed": exceeded.allowed},
    )
