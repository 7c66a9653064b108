"""Manners of every endpoint: HEAD, caching, compression, one key a request, documentation from our host."""

import gzip
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Final
from uuid import UUID

import pytest
from psycopg_pool import ConnectionPool
from starlette.testclient import TestClient

from serve_apps.core.routes import ENDPOINTS
from serve_apps.http.answers import COMPRESS_FROM_BYTES
from signals.clients.postgres import Connection
from tests.integration.core.conftest import Keys, OpenIncident, OpenOutage
from tests.support.events import NOON

OWN = ("/", "/v1/why-not", "/v1/audit")
"""Without an answer to a read key, or with parameters that are required."""
GETS = [one.path for one in ENDPOINTS if one.method == "GET" and one.path not in OWN]
GETS += ["/v1/why-not?error_code=E&route=/r&at=2026-03-01T12:00:00Z", "/docs", "/openapi.json"]
TAGGED = ["/v1/incidents", "/v1/incidents/{incident_id}", "/v1/outages", "/v1/outages/{outage_id}"]
KEPT = [*TAGGED, "/v1/incidents/{incident_id}/timeline", "/v1/outages/{outage_id}/timeline"]
VERSIONED = [*KEPT, "/v1/rules/{name}"]
"""A rule's version is for `If-Match` alone."""
ROW: Final = UUID(int=5)
DEPLOY: Final = """
INSERT INTO pipeline.deploys (project_id, event_id, environment, release, status, occurred_at, received_at)
VALUES ('proj_1', %s, 'prod', 'r1', 'success', now(), now())
"""
DESTINATION: Final = """
INSERT INTO pipeline.destinations (id, project_id, name, kind, settings, hint, created_by)
VALUES (%s, 'proj_1', 'ours', 'webhook', '{}', 'h', 'test')
"""


@pytest.fixture
def incident(open_incident: OpenIncident) -> str:
    """One of several incidents: enough of them for a list that is worth compressing."""
    for number in range(5):
        open_incident(NOON, fingerprint=f"E|/{number}|x", title="A long title " * 10)
    return str(open_incident(NOON))


@pytest.fixture
def outage(open_outage: OpenOutage) -> str:
    """An outage that began later than the incidents."""
    return str(open_outage("DB_DOWN|/r|prod", at=NOON + timedelta(hours=3)))


@pytest.fixture
def values(pool: ConnectionPool[Connection], incident: str, outage: str) -> Mapping[str, str]:
    """Values for the fields of a path: one row of each kind."""
    with pool.connection() as connection:
        for statement in (DEPLOY, DESTINATION):
            connection.execute(statement, [ROW])
    ids = {"deploy_id": str(ROW), "destination_id": str(ROW), "name": "error-spike"}
    return ids | {"incident_id": incident, "outage_id": outage}


@pytest.mark.parametrize("path", GETS)
def test_get_answers_head_with_the_same_headers(
    reader: TestClient, values: Mapping[str, str], path: str
) -> None:
    path = path.format_map(values)
    whole, head = reader.get(path), reader.head(path)
    assert (whole.status_code, head.status_code, head.content) == (200, 200, b"")
    assert head.headers.keys() == whole.headers.keys()
    assert head.headers["content-type"] == whole.headers["content-type"]


@pytest.mark.parametrize("path", GETS)
def test_answer_forbids_caches_unless_tagged(
    reader: TestClient, values: Mapping[str, str], path: str
) -> None:
    kept = path in KEPT
    answer = reader.get(path.format_map(values))
    assert answer.headers["cache-control"] == ("private, no-cache" if kept else "no-store")
    assert ("etag" in answer.headers) == (path in VERSIONED)
    assert ("Authorization" in answer.headers.get("vary", "")) == kept


def test_problem_forbids_caches(reader: TestClient) -> None:
    for path in ("/nowhere", "/v1/incidents?limit=0", "/v1/incidents/x"):
        assert reader.get(path).headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", TAGGED)
def test_unchanged_version_is_not_sent_again(
    reader: TestClient, incident: str, outage: str, path: str
) -> None:
    path = path.format(incident_id=incident, outage_id=outage)
    tag = reader.get(path).headers["etag"]
    for known in (tag, tag.removeprefix("W/"), f'"other", {tag}', "*"):
        answer = reader.get(path, headers={"If-None-Match": known})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
    changed_path = f"/v1/outages/{outage}" if "outages" in path else f"/v1/incidents/{incident}"
    assert reader.patch(changed_path, json={"status": "resolved"}).status_code == 200
    changed = reader.get(path, headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag


def test_answer_is_compressed_only_when_asked_and_worth_it(reader: TestClient, incident: str) -> None:
    path = "/v1/incidents"
    reader.headers["Accept-Encoding"] = "identity"
    plain = reader.get(path)
    assert len(plain.content) >= COMPRESS_FROM_BYTES
    assert "content-encoding" not in plain.headers
    for asked in ("gzip", "br, gzip;q=0.5", "gzip, deflate"):
        with reader.stream("GET", path, headers={"Accept-Encoding": asked}) as answer:
            raw = b"".join(answer.iter_raw())
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["etag"] == plain.headers["etag"]
        assert gzip.decompress(raw) == plain.content
        assert len(raw) < len(plain.content) / 2
    for not_asked in ("gzip;q=0", "gzip; q=0.0", "br", ""):
        answer = reader.get(path, headers={"Accept-Encoding": not_asked})
        assert "content-encoding" not in answer.headers
    small = reader.get("/healthz", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in small.headers


def test_two_different_keys_are_refused(anonymous: TestClient, keys: Keys) -> None:
    both = {"Authorization": f"Bearer {keys.read}", "X-API-Key": keys.other_read}
    answer = anonymous.get("/v1/incidents", headers=both)
    assert (answer.status_code, answer.json()["code"]) == (400, "conflicting_keys")
    assert keys.read not in answer.text
    both["X-API-Key"] = keys.read
    assert anonymous.get("/v1/incidents", headers=both).status_code == 200


def test_documentation_page_names_no_foreign_host(anonymous: TestClient) -> None:
    page = anonymous.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", page.text)
    assert "<script" not in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    document = anonymous.get("/openapi.json").json()
    for operations in document["paths"].values():
        for operation in operations.values():
            assert f"id='{operation['operationId']}'" in page.text
