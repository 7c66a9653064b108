"""What is answered without the framework is answered as the framework would."""

from uuid import uuid4

import pytest
from starlette.testclient import TestClient

from serve_apps.core import requests
from serve_apps.core.short_reads import ShortReads
from shared_types import Environment
from signals.services.access.authentication import Authenticating
from tests.integration.core.conftest import OTHER, Keys, OpenIncident
from tests.support.events import NOON

PLAIN = [
    "",
    "?limit=1",
    "?env=dev",
    "?limit=200",
    "?status=open",
    "?env=prod&status=resolved&limit=3",
    "?cursor=nonsense",
]
ODD = [
    "?limit=201",
    "?limit=0",
    "?limit=01",
    "?limit=1&limit=2",
    "?limit=%31",
    "?limit=",
    "?limit",
    "?status=OPEN",
    "?status=",
    "?env=dev%0A",
    "?env=qa",
    "?cursor=%C3%A9",
    "?cursor=\u00e9",
    "?since=2025-12-27T10:00:00Z",
    "?project_id=proj_1",
    "?project_id=proj_2",
    "?statsu=open",
    "?&",
]
LIST = "/v1/incidents"


@pytest.fixture
def whole_ways(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that the framework was asked for and has authenticated."""
    taken: list[str] = []
    monkeypatch.setattr(requests, "check_documented", lambda request: taken.append(request.url.path))
    return taken


@pytest.fixture
def incident(open_incident: OpenIncident) -> str:
    """One of several incidents."""
    for number, environment in enumerate(Environment):
        open_incident(NOON, environment=environment.value, fingerprint=f"E|/{number}|x")
    return str(open_incident(NOON))


def answers(client: TestClient, path: str, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Status, headers and body, as they are and as the framework gives them."""
    found: list[object] = []
    with monkeypatch.context() as patch:
        for _ in range(2):
            answer = client.get(path)
            found.append((answer.status_code, sorted(answer.headers.items()), answer.content))
            patch.setattr(ShortReads, "_plain", lambda *_: None)
    return found


@pytest.mark.parametrize("query", [*PLAIN, *ODD])
def test_a_list_is_the_same(
    reader: TestClient, incident: str, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader.get(LIST)  # the key's verdict is known from here on
    short, whole = answers(reader, LIST + query, monkeypatch)
    assert short == whole


@pytest.mark.parametrize("query", PLAIN)
def test_a_plain_list_does_not_reach_the_framework(
    reader: TestClient, whole_ways: list[str], query: str
) -> None:
    reader.get(LIST)
    whole_ways.clear()
    assert reader.get(LIST + query).status_code in (200, 400)
    assert whole_ways == []


def test_an_incident_is_the_same(
    reader: TestClient,
    incident: str,
    open_incident: OpenIncident,
    whole_ways: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reader.get(LIST)
    whole_ways.clear()
    for found in (incident, str(uuid4()), str(open_incident(NOON, OTHER))):
        short, whole = answers(reader, f"{LIST}/{found}", monkeypatch)
        assert short == whole
    assert len(whole_ways) == 3


@pytest.mark.parametrize("odd", ["{0}/", "{0}?", "{0}?limit=1", "{0}%0A", "{{{0}}}", "urn:uuid:{0}", "x"])
def test_an_odd_id_is_judged_the_same(
    reader: TestClient, incident: str, odd: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader.get(LIST)
    short, whole = answers(reader, f"{LIST}/{odd.format(incident)}", monkeypatch)
    assert short == whole


def test_keys_are_judged_the_same(
    anonymous: TestClient, incident: str, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in (keys.ingest, keys.other_read, keys.read, "unknown", ""):
        anonymous.headers["Authorization"] = f"Bearer {key}"
        anonymous.get(LIST)
        for path in (LIST, f"{LIST}/{incident}"):
            short, whole = answers(anonymous, path, monkeypatch)
            assert short == whole


def test_a_key_that_must_be_looked_up_is_for_the_framework(
    reader: TestClient, whole_ways: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Authenticating, "check_cached", lambda *_: None)
    assert reader.get(LIST).status_code == 200
    assert whole_ways == [LIST]
