"""Query parameters that a route does not take are refused by name; a misspelt filter must not answer all."""

import pytest
from starlette.testclient import TestClient

ROUTES = ["/v1/incidents", "/v1/search/events", "/v1/incidents/00000000-0000-4000-8000-000000000000"]


@pytest.mark.parametrize("path", ROUTES)
def test_an_unknown_parameter_is_named(reader: TestClient, path: str) -> None:
    answer = reader.get(path, params={"statsu": "open"})
    assert (answer.status_code, answer.json()["parameter"]) == (400, "statsu")


@pytest.mark.parametrize("path", ROUTES[:2])
def test_repeated_parameter_is_refused(reader: TestClient, path: str) -> None:
    answer = reader.get(path, params=[("limit", "1"), ("limit", "2")])
    assert (answer.status_code, answer.json()["parameter"]) == (400, "limit")


def test_filters_may_be_repeated(reader: TestClient) -> None:
    answer = reader.get("/v1/search/events", params=[("filters", "route:/a"), ("filters", "route:/b")])
    assert answer.status_code == 200


def test_missing_key_is_refused_before_parameters(anonymous: TestClient) -> None:
    assert anonymous.get("/v1/incidents", params={"statsu": "open"}).status_code == 401


def test_key_in_a_parameter_name_is_not_echoed(reader: TestClient) -> None:
    key = reader.headers["Authorization"].removeprefix("Bearer ")
    answer = reader.get("/v1/incidents", params={key: ""})
    assert answer.status_code == 400
    assert key not in answer.text
