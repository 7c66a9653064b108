"""The edits fit the template of the installed Serve, and HAProxy's own errors are answers like the APIs'."""

import subprocess
from pathlib import Path
from typing import Any

import httpx2
import pytest
from ray.serve._private.haproxy_templates import HAPROXY_CONFIG_TEMPLATE

from serve_apps.http.problems import MEDIA_TYPE, Problem, problem_response
from signals.local.processes.ports import free_port
from signals.ray_node import haproxy
from signals.ray_node.haproxy import CLOSED, EDITS, PEER_HEADER
from tests.support.waiting import until
from tests.unit.ray_node.haproxy_process import edited, get

PROBLEM = {
    "type": "urn:signals:problem:unavailable",
    "title": "Service Unavailable",
    "status": 503,
    "code": "unavailable",
    "detail": "The service is starting or busy; try again.",
}
CONFIG = """
defaults
    mode http
    timeout connect 1s
    timeout client 5s
    timeout server 5s
    errorfile 502 nowhere
    errorfile 503 nowhere
    errorfile 504 nowhere
frontend http_frontend
    bind :{port}
    use_backend away if {{ path_end /away }}
    use_backend busy if {{ path_end /busy }}
    use_backend uvicorn if {{ path_end /uvicorn }}
    default_backend default_backend
backend default_backend
    http-request return status 404 content-type text/plain lf-string "Path not found."
backend away
    server replica 127.0.0.1:{closed}
backend busy
    server replica 127.0.0.1:{serve}
backend uvicorn
    server replica 127.0.0.1:{serve}
frontend serve
    bind 127.0.0.1:{serve}
    http-request return status 400 content-type text/plain string "Invalid HTTP" if {{ path /uvicorn }}
    http-request return status 503 content-type text/plain string "dropped" hdr Server uvicorn
"""


def answer_of(folder: Path, path: str) -> httpx2.Response:
    """Start HAProxy with the edited configuration, and return its answer to one GET."""
    ports: dict[str, Any] = {name: free_port() for name in ("port", "closed", "serve")}
    launcher, _ = edited(folder / "a", CONFIG.format(**ports), edits=(*EDITS, CLOSED))
    with subprocess.Popen([launcher, "-db", "-f", folder / "a" / "haproxy.cfg"]) as process:
        try:
            answer = until(lambda: get(f"http://127.0.0.1:{ports['port']}{path}"))
        finally:
            process.terminate()
    assert answer is not None
    return answer


def test_every_edit_finds_its_line_in_the_template(tmp_path: Path) -> None:
    for name, edits in (("laptop", (*EDITS, CLOSED)), ("image", EDITS)):
        _, text = edited(tmp_path / name, HAPROXY_CONFIG_TEMPLATE, edits=edits)
        assert text.count("\n    http-request set-header x-request-disconnect-disabled ?1") == 1
        assert text.count("\n    http-response del-header server\n") == 1
        assert text.count(f"\n    http-request set-header {PEER_HEADER} %[src]\n") == 1
        assert text.count("\n    http-error status 400 ") == 1
        assert "return status 404" in HAPROXY_CONFIG_TEMPLATE
        assert "return status 404" not in text
        assert "errorfile 503 {{" in HAPROXY_CONFIG_TEMPLATE
        assert "errorfile 503 {{" not in text
        assert ("bind 127.0.0.1:" in text) == (name == "laptop")


def test_body_equals_the_problem_of_the_apis() -> None:
    ours = problem_response(Problem(503, "unavailable", PROBLEM["detail"]))  # type: ignore[arg-type]
    assert bytes(ours.body).decode() == haproxy.UNAVAILABLE


@pytest.mark.parametrize(
    "path",
    ["/v1/events", "/away", "/busy", *(f"/v1/events/sentry/{name}" for name in ("api", "away", "busy"))],
)
def test_proxys_own_errors_are_problem_json(tmp_path: Path, path: str) -> None:
    answer = answer_of(tmp_path, path)
    assert (answer.status_code, answer.json()) == (503, PROBLEM)
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert answer.headers["cache-control"] == "no-store"
    if "sentry" in path:
        assert "retry-after" not in answer.headers
    else:
        assert int(answer.headers["retry-after"]) > 0
    assert "server" not in answer.headers


def test_method_that_uvicorn_does_not_know_is_answered_with_a_problem(tmp_path: Path) -> None:
    answer = answer_of(tmp_path, "/uvicorn")
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_request")
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert answer.headers["cache-control"] == "no-store"
