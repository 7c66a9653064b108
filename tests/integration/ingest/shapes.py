"""Events as clients write them, and the shapes of refusals."""

from typing import Any

import httpx2

MIB = 2**20
NDJSON = {"Content-Type": "application/x-ndjson"}


def body(**fields: object) -> dict[str, object]:
    """Return one acceptable event as a client writes it."""
    return {
        "event_type": "error",
        "occurred_at": "2026-01-01T12:00:00+02:00",
        "message": "Upstream timed out",
        "attributes": {"route": "/checkout", "error_code": "TIMEOUT"},
        **fields,
    }


def assert_problem(answer: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """Check that an answer is the problem, and return its body."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    problem: dict[str, Any] = answer.json()
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["title"]
    assert problem["detail"]
    assert problem["type"].endswith(code)
    return problem
