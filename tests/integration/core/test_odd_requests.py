"""Odd parameters, ids and keys of the two hottest reads: the exact answers that clients have always had."""

from uuid import uuid4

import pytest
from starlette.testclient import TestClient

from shared_types import Environment
from signals.services.access.authentication import KeyAuthenticator
from tests.integration.core.conftest import OTHER, Keys, OpenIncident
from tests.support.events import NOON

LIST = "/v1/incidents"
NO_INTEGER = "limit: Input should be a valid integer, unable to parse string as an integer."
ENVIRONMENTS = "env: Input should be 'prod', 'staging' or 'dev'."
PLAIN = ["", "?limit=1", "?env=dev", "?limit=200", "?status=open", "?env=prod&status=resolved&limit=3"]
SERVED = {  # odd, but understood: how many of the four incidents are listed
    "?limit=01": 1,
    "?limit=%31": 1,
    "?limit=+1": 1,
    "?limit=1.0": 1,
    "?status=": 4,
    "?env=": 4,
    "?since=": 4,
    "?&": 4,
    "?env=dev&&status=open": 1,
    "?project_id=proj_1": 4,
    "?since=2025-12-27T10:00:00Z": 4,
}
REFUSED = {
    "?limit=201": (400, "invalid_request", "limit: Input should be less than or equal to 200."),
    "?limit=0": (400, "invalid_request", "limit: Input should be greater than or equal to 1."),
    "?limit=": (400, "invalid_request", NO_INTEGER),
    "?limit": (400, "invalid_request", NO_INTEGER),
    "?limit=1e2": (400, "invalid_request", NO_INTEGER),
    "?limit=%FF": (400, "invalid_request", NO_INTEGER),
    "?limit=1&limit=2": (400, "invalid_query", "limit: give it once."),
    "?status=OPEN": (
        400,
        "invalid_request",
        "status: Input should be 'open', 'investigating', 'resolved' or 'unresolved'.",
    ),
    "?env=dev%0A": (400, "invalid_request", ENVIRONMENTS),
    "?env=qa": (400, "invalid_request", ENVIRONMENTS),
    "?env=dev;status=open": (400, "invalid_request", ENVIRONMENTS),
    "?project_id=proj_2": (
        403,
        "other_project",
        "This key reads its own project only; leave project_id out.",
    ),
    "?statsu=open": (
        400,
        "invalid_query",
        (
            "statsu: it is not a parameter here; "
            "there are assignee, cursor, env, limit, project_id, severity, since, sort, status, text, until, "
            "verdict."
        ),
    ),
    "?a%20b=1": (
        400,
        "invalid_query",
        (
            "a parameter: it is not a parameter here; "
            "there are assignee, cursor, env, limit, project_id, severity, since, sort, status, text, until, "
            "verdict."
        ),
    ),
}
CURSORS = ["?cursor=nonsense", "?cursor=%C3%A9", "?cursor=\u00e9"]


@pytest.fixture
def incident(open_incident: OpenIncident) -> str:
    """The newest of four incidents, one of each environment and another."""
    for number, environment in enumerate(Environment):
        open_incident(NOON, environment=environment.value, fingerprint=f"E|/{number}|x")
    return str(open_incident(NOON))


@pytest.mark.parametrize("query", PLAIN)
def test_plain_list_is_served(reader: TestClient, incident: str, query: str) -> None:
    assert reader.get(LIST + query).status_code == 200


@pytest.mark.parametrize(("query", "count"), SERVED.items())
def test_odd_parameter_is_accepted(reader: TestClient, incident: str, query: str, count: int) -> None:
    answer = reader.get(LIST + query)
    assert (answer.status_code, len(answer.json()["incidents"])) == (200, count)


@pytest.mark.parametrize(("query", "refusal"), REFUSED.items())
def test_odd_parameter_is_refused_by_name(
    reader: TestClient, query: str, refusal: tuple[int, str, str]
) -> None:
    answer = reader.get(LIST + query)
    body = answer.json()
    assert (answer.status_code, body["code"], body["detail"]) == refusal
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("query", CURSORS)
def test_odd_cursor_is_refused(reader: TestClient, query: str) -> None:
    answer = reader.get(LIST + query)
    assert (answer.status_code, answer.json()["parameter"]) == (400, "cursor")


@pytest.mark.parametrize(
    ("odd", "status"),
    [
        ("{0}", 200),
        ("{0}?", 200),
        ("{{{0}}}", 200),
        ("urn:uuid:{0}", 200),
        ("{0}/", 404),
        ("{0}%0A", 404),
        ("x", 404),
        ("{0}?limit=1", 400),
        ("{0}?x=", 400),
    ],
)
def test_odd_id_is_accepted_or_refused(reader: TestClient, incident: str, odd: str, status: int) -> None:
    assert reader.get(f"{LIST}/{odd.format(incident)}").status_code == status


def test_another_tenants_incident_is_unknown(reader: TestClient, open_incident: OpenIncident) -> None:
    for found in (uuid4(), open_incident(NOON, OTHER)):
        answer = reader.get(f"{LIST}/{found}")
        assert (answer.status_code, answer.json()["code"]) == (404, "no_such_incident")


@pytest.mark.parametrize("path", [LIST, f"{LIST}/7c95baea-63d3-4f65-9625-5061b42a36e3"])
def test_key_is_checked_before_all_parameters(anonymous: TestClient, keys: Keys, path: str) -> None:
    for key, status, code in (
        (keys.ingest, 403, "wrong_scope"),
        ("unknown", 401, "unknown_key"),
        ("", 401, "missing_key"),
    ):
        anonymous.headers["Authorization"] = f"Bearer {key}"
        answer = anonymous.get(path + "?statsu=open")
        assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_uncached_key_is_looked_up(
    reader: TestClient, incident: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(KeyAuthenticator, "check_cached", lambda *_: None)
    assert len(reader.get(LIST).json()["incidents"]) == 4
