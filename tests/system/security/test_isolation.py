"""No key reads or writes outside its project: every route is tried with every wrong key."""

import base64
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import requests
from psycopg_pool import ConnectionPool

from serve_apps.core.routes import ENDPOINTS as CORE_ENDPOINTS
from serve_apps.ingest.routes import ENDPOINTS as INGEST_ENDPOINTS
from signals.clients.opensearch.connection import Client
from signals.clients.postgres import Connection
from signals.domain.access.people import ROLE_RIGHTS, Role
from signals.domain.access.scopes import Right
from signals.services.access.people import add_person
from signals.services.access.person_tokens import PersonTokens
from tests.integration.core.conftest import OTHER, index
from tests.integration.ingest.conftest import Stored
from tests.integration.ingest.conftest import stored as _stored_fixture
from tests.integration.ingest.shapes import body
from tests.support.events import NOON, TENANCY, event
from tests.system.security.conftest import Surface

stored = _stored_fixture

OURS, THEIRS = UUID(int=1, version=4), UUID(int=2, version=4)
SECRET = "theirs4711"
RULE = {"name": SECRET, "kind": "absence", "on": {"event_type": "custom"}}
INCIDENT = """
INSERT INTO incidents (id, org_id, project_id, environment, fingerprint, status, severity, title, opened_at,
                       last_seen_at)
VALUES (%s, %s, %s, 'prod', 'TIMEOUT|/checkout|prod', 'open', 'error', %s, now(), now())
"""
DESTINATION = """
INSERT INTO pipeline.destinations (id, project_id, name, kind, settings, hint, created_by)
VALUES (%s, %s, %s, 'webhook', '{}', 'h', 'test')
"""
ROUTE = """
INSERT INTO pipeline.routes (id, project_id, destination_id, fingerprint, created_by)
VALUES (%s, %s, %s, %s, 'test')
"""
MAINTENANCE = """
INSERT INTO pipeline.maintenance (id, project_id, starts_at, ends_at, reason, created_by)
VALUES (%s, %s, now(), now() + interval '1 hour', %s, 'test')
"""
OUTAGE = """
INSERT INTO pipeline.outages (id, project_id, window_id, opened_at, newest_at, verdict, severity, status)
SELECT id, project_id, id, opened_at, opened_at, 'confirmed', severity, status FROM incidents
ON CONFLICT DO NOTHING
"""
OUTAGE_MEMBER = """
INSERT INTO pipeline.outage_members (incident_id, outage_id, project_id, environment, fingerprint, opened_at)
SELECT id, id, project_id, environment, fingerprint, opened_at FROM incidents
ON CONFLICT DO NOTHING
"""
LEDGER = """
INSERT INTO pipeline.ledger (project_id, minute_at, stage, outcome, partition, events)
VALUES (%s, date_trunc('minute', now()), 'ingest-api', 'accepted', -1, 47110815)
"""
DEPLOY = """
INSERT INTO pipeline.deploys (project_id, event_id, environment, release, status, occurred_at, received_at)
VALUES (%s, %s, 'prod', %s, 'success', now(), now())
"""
OPEN_ROUTES = {("GET", "/"), ("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/v1/events/healthz")}
READ_ROUTES = {
    ("GET", "/v1/deploys"),
    ("GET", "/v1/deploys/{deploy_id}"),
    ("GET", "/v1/incidents"),
    ("GET", "/v1/incidents/{incident_id}"),
    ("PATCH", "/v1/incidents/{incident_id}"),
    ("GET", "/v1/outages"),
    ("GET", "/v1/outages/{outage_id}"),
    ("PATCH", "/v1/outages/{outage_id}"),
    ("PATCH", "/v1/outages"),
    ("PATCH", "/v1/incidents"),
    ("GET", "/v1/outages/{outage_id}/timeline"),
    ("POST", "/v1/outages/{outage_id}/comments"),
    ("POST", "/v1/outages/{outage_id}/merge"),
    ("POST", "/v1/outages/{outage_id}/split"),
    ("PUT", "/v1/outages/{outage_id}/assignee"),
    ("PUT", "/v1/outages/{outage_id}/snooze"),
    ("DELETE", "/v1/outages/{outage_id}/snooze"),
    ("GET", "/v1/maintenance"),
    ("GET", "/v1/doors"),
    ("GET", "/v1/ledger"),
    ("GET", "/v1/me"),
    ("GET", "/v1/search/events"),
    ("GET", "/v1/rules"),
    ("GET", "/v1/rules/{name}"),
    ("GET", "/v1/rules/{name}/history"),
    ("POST", "/v1/rules/preview"),
    ("GET", "/v1/why-not"),
    ("GET", "/v1/destinations"),
    ("GET", "/v1/destinations/{destination_id}"),
    ("GET", "/v1/routes"),
    ("GET", "/v1/incidents/{incident_id}/routes"),
    ("GET", "/v1/incidents/{incident_id}/timeline"),
    ("GET", "/v1/notices"),
    ("GET", "/v1/feedback"),
    ("GET", "/v1/feedback/precision"),
    ("GET", "/v1/incidents/{incident_id}/feedback"),
    ("POST", "/v1/incidents/{incident_id}/feedback"),
    ("GET", "/v1/outages/{outage_id}/feedback"),
    ("POST", "/v1/outages/{outage_id}/feedback"),
    ("GET", "/v1/incidents/{incident_id}/questions"),
    ("POST", "/v1/incidents/{incident_id}/questions"),
}
ADMIN_ROUTES = {
    ("GET", "/v1/audit"),
    ("PATCH", "/v1/doors"),
    ("POST", "/v1/rules"),
    ("PUT", "/v1/rules/{name}"),
    ("PATCH", "/v1/rules/{name}"),
    ("DELETE", "/v1/rules/{name}"),
    ("POST", "/v1/destinations"),
    ("PATCH", "/v1/destinations/{destination_id}"),
    ("DELETE", "/v1/destinations/{destination_id}"),
    ("POST", "/v1/destinations/{destination_id}/test"),
    ("POST", "/v1/routes"),
    ("DELETE", "/v1/routes/{route_id}"),
    ("POST", "/v1/maintenance"),
    ("DELETE", "/v1/maintenance/{maintenance_id}"),
}
INGEST_ROUTES = {("POST", "/v1/events"), ("POST", "/v1/events/batch")}

pytestmark = pytest.mark.usefixtures("both_tenants")


@pytest.fixture
def both_tenants(surface: Surface, pool: ConnectionPool[Connection], opensearch: Client) -> None:
    """An incident, its outage, an event, a line of the ledger each; theirs hold a word that may not leave."""
    with pool.connection() as connection:
        connection.execute(INCIDENT, [OURS, TENANCY.org_id, TENANCY.project_id, "ours"])
        connection.execute(INCIDENT, [THEIRS, OTHER.org_id, OTHER.project_id, SECRET])
        connection.execute(DESTINATION, [THEIRS, OTHER.project_id, SECRET])
        connection.execute(MAINTENANCE, [THEIRS, OTHER.project_id, SECRET])
        connection.execute(ROUTE, [THEIRS, OTHER.project_id, THEIRS, SECRET])
        connection.execute(OUTAGE)
        connection.execute(OUTAGE_MEMBER)
        connection.execute(LEDGER, [OTHER.project_id])
        connection.execute(DEPLOY, [TENANCY.project_id, OURS, "ours"])
        connection.execute(DEPLOY, [OTHER.project_id, THEIRS, SECRET])
    index(
        opensearch,
        [
            *(event("error", NOON, route="/ours", error_code="SAME") for _ in range(2)),
            *(event("error", NOON, tenancy=OTHER, route=f"/{SECRET}", error_code="SAME") for _ in range(2)),
        ],
    )


def call(surface: Surface, route: tuple[str, str], key: str | None, **options: object) -> requests.Response:
    """Call a route with a key; what the route needs beside it is made to fit."""
    method, path = route
    contents: dict[str, Any] = {"POST": body(), "PATCH": {"status": "resolved"}}
    if path.startswith("/v1/rules"):
        contents = {"POST": RULE, "PUT": RULE, "PATCH": {"enabled": False}}
    elif path.endswith("/questions"):
        contents = {"POST": {"question": "Why?"}}
    elif path.endswith("/feedback"):
        contents = {"POST": {"useful": True}}
    elif path.startswith("/v1/outages/{outage_id}/"):
        until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        contents = {"POST": {"text": "t"}, "PUT": {"assignee": "a"}}
        contents |= {"PUT": {"until": until}} if path.endswith("snooze") else {}
        contents |= {"POST": {"into": str(THEIRS)}} if path.endswith("merge") else {}
        contents |= {"POST": {"incident": str(THEIRS)}} if path.endswith("split") else {}
    elif path in ("/v1/outages", "/v1/incidents"):
        contents = {"PATCH": {"status": "resolved", "items": [{"id": str(THEIRS)}]}}
    elif path == "/v1/doors":
        contents = {"PATCH": {"kept_fields": []}}
    content = contents.get(method)
    return requests.request(
        method,
        surface.base_url + re.sub(r"{\w+_id}", str(THEIRS), path.replace("{name}", SECRET)),
        headers={"If-Match": '"1"'} | ({"X-API-Key": key} if key else {}),
        json=[content] if path.endswith("batch") else content,
        timeout=120,
        **options,  # type: ignore[arg-type]  # of any kind
    )


def their_status(pool: ConnectionPool[Connection]) -> object:
    with pool.connection() as connection:
        return connection.execute("SELECT status FROM incidents WHERE id = %s", [THEIRS]).fetchone()


def test_tables_name_every_route(surface: Surface) -> None:
    document = requests.get(surface.base_url + "/openapi.json", timeout=120).json()
    documented = {(m.upper(), path) for path, operations in document["paths"].items() for m in operations}
    assert documented == OPEN_ROUTES | READ_ROUTES | INGEST_ROUTES | ADMIN_ROUTES


def test_no_route_answers_without_the_right_key(
    surface: Surface, pool: ConnectionPool[Connection], stored: Stored
) -> None:
    for route in OPEN_ROUTES:
        assert call(surface, route, None).status_code in (200, 503), route
    wrong_keys = (
        (READ_ROUTES, surface.ingest),
        (INGEST_ROUTES, surface.read),
        (INGEST_ROUTES, surface.admin),
        (ADMIN_ROUTES, surface.read),
        (ADMIN_ROUTES, surface.ingest),
    )
    for routes, wrong_scope in (*wrong_keys, *((routes, surface.public) for routes, _ in wrong_keys)):
        for route in routes:
            for key in (None, "", "nonsense", "sig_read_" + "a" * 43, "sig_ingest_" + "a" * 43):
                assert call(surface, route, key).status_code == 401, (route, key)
            answer = call(surface, route, wrong_scope)
            assert (answer.status_code, answer.json()["code"]) == (403, "wrong_scope"), route
            assert wrong_scope not in answer.text
    assert their_status(pool) == ("open",)
    assert stored() == []


@pytest.mark.parametrize("kind", ["incident", "outage"])
def test_guessed_id_is_neither_read_nor_changed(
    surface: Surface, pool: ConnectionPool[Connection], kind: str
) -> None:
    path = f"/v1/{kind}s/{{{kind}_id}}"
    for method in ("GET", "PATCH"):
        answer = call(surface, (method, path), surface.read)
        assert (answer.status_code, answer.json()["code"]) == (404, f"no_such_{kind}")
        assert SECRET not in answer.text
    assert their_status(pool) == ("open",)
    owner = call(surface, ("GET", path), surface.other_read)
    assert owner.json()[kind]["title"] == SECRET  # it is there to be found


def test_guessed_deploy_is_not_read(surface: Surface) -> None:
    answer = call(surface, ("GET", "/v1/deploys/{deploy_id}"), surface.read)
    assert (answer.status_code, answer.json()["code"]) == (404, "no_such_deploy")
    owner = call(surface, ("GET", "/v1/deploys/{deploy_id}"), surface.other_read)
    assert owner.json()["deploy"]["release"] == SECRET


def test_guessed_rule_is_neither_read_nor_changed(surface: Surface) -> None:
    created = call(surface, ("POST", "/v1/rules"), surface.other_admin)
    assert created.status_code == 201
    for method, path in sorted((READ_ROUTES | ADMIN_ROUTES) - {("GET", "/v1/rules"), ("POST", "/v1/rules")}):
        if "{name}" in path:
            answer = call(surface, (method, path), surface.admin)
            assert (answer.status_code, answer.json()["code"]) == (404, "no_such_rule"), (method, path)
    assert SECRET not in call(surface, ("GET", "/v1/rules"), surface.admin).text
    theirs = call(surface, ("GET", "/v1/rules/{name}"), surface.other_read).json()["rule"]
    assert (theirs["version"], theirs["enabled"]) == (1, True)
    assert call(surface, ("POST", "/v1/rules"), surface.admin).status_code == 201  # a name is a project's


@pytest.mark.parametrize(
    "path", ["/v1/incidents", "/v1/deploys", "/v1/outages", "/v1/search/events", "/v1/ledger"]
)
def test_lists_hold_the_keys_project_only(surface: Surface, path: str) -> None:
    mine = call(surface, ("GET", path), surface.read)
    assert mine.status_code == 200
    theirs = call(surface, ("GET", path), surface.other_read)
    mark = "47110815" if path == "/v1/ledger" else SECRET
    assert mark in theirs.text  # or the test would prove nothing
    assert mark not in mine.text
    for name, value, status in (
        ("project_id", OTHER.project_id, 403),
        ("org_id", OTHER.org_id, 400),
    ):
        answer = call(surface, ("GET", path), surface.read, params={name: value})
        assert answer.status_code == status
        assert mark not in answer.text


def test_guessed_outage_is_not_worked_on(surface: Surface, pool: ConnectionPool[Connection]) -> None:
    for method, path in READ_ROUTES:
        if path.startswith("/v1/outages/{outage_id}/"):
            answer = call(surface, (method, path), surface.read)
            assert (answer.status_code, answer.json()["code"]) == (404, "no_such_outage"), (method, path)
    with pool.connection() as connection:
        touched = (
            "SELECT (SELECT count(*) FROM pipeline.outage_cares), count(*) FROM pipeline.incident_changes"
        )
        assert connection.execute(f"{touched} WHERE kind <> 'opened'").fetchone() == (0, 0)


@pytest.mark.parametrize("path", ["/v1/destinations", "/v1/maintenance", "/v1/routes"])
def test_configuration_of_another_project_is_neither_listed_nor_changed(surface: Surface, path: str) -> None:
    assert SECRET in call(surface, ("GET", path), surface.other_read).text
    assert SECRET not in call(surface, ("GET", path), surface.read).text
    for method, route in READ_ROUTES | ADMIN_ROUTES:
        if route.startswith(f"{path}/"):
            answer = call(surface, (method, route), surface.admin)
            assert answer.status_code in (400, 404), (method, route)  # 400: of the body, before any look-up
            assert SECRET not in answer.text
    assert SECRET in call(surface, ("GET", path), surface.other_read).text


ESCAPES = [
    {"q": "*"},
    {"q": SECRET},
    {"q": f"ours | {SECRET}"},
    {"q": f"project_id:{OTHER.project_id}"},
    {"q": f'") OR project_id:"{OTHER.project_id}'},
    {"q": f"ours) OR (project_id:{OTHER.project_id}"},
    {"q": "((((((((("},
    {"q": '"'},
    {"q": "\\"},
    {"q": "-ours"},
    {"q": "_exists_:message"},
    {"q": "/.*/"},
    {"filters": f"project_id:{OTHER.project_id}"},
    {"filters": f"org_id:{OTHER.org_id}"},
    {"filters": "_id:*"},
    {"filters": f'route:"/{SECRET}"'},
    {"filters": "route:*"},
    {"filters": 'error_code:SAME,route:"/x\\" OR project_id:proj_2"'},
    {"filters": f"attributes.project_id:{OTHER.project_id}"},
    {"filters": "occurred_at:[* TO *]"},
]


@pytest.mark.parametrize("parameters", ESCAPES, ids=str)
def test_no_search_escapes_its_project(surface: Surface, parameters: dict[str, str]) -> None:
    asked = parameters | {"include": ["facets", "comparison"]}
    answer = call(surface, ("GET", "/v1/search/events"), surface.read, params=asked)
    assert answer.status_code in (200, 400)
    if answer.status_code == 200:
        assert {found["project_id"] for found in answer.json()["events"]} <= {TENANCY.project_id}
        assert answer.json()["total"]["value"] <= 2
        assert SECRET not in json.dumps([answer.json()["facets"], answer.json()["comparison"]])


@pytest.mark.parametrize("path", ["/v1/search/events", "/v1/incidents", "/v1/outages"])
def test_cursor_of_another_tenant_shows_nothing(
    surface: Surface, pool: ConnectionPool[Connection], path: str
) -> None:
    with pool.connection() as connection:
        for tenancy in (TENANCY, OTHER):
            row = [UUID(int=ord(tenancy.org_id[-1])), tenancy.org_id, tenancy.project_id, tenancy.org_id]
            connection.execute(INCIDENT.replace("TIMEOUT", "ANOTHER"), row)
        connection.execute(OUTAGE)
        connection.execute(OUTAGE_MEMBER)
    first = {
        key: call(surface, ("GET", path), key, params={"limit": 1}).json()["next_cursor"]
        for key in (surface.read, surface.other_read)
    }
    stolen = first[surface.other_read]
    answer = call(surface, ("GET", path), surface.read, params={"limit": 1, "cursor": stolen})
    assert (answer.status_code, answer.json()["parameter"]) == (400, "cursor")
    forged = json.loads(base64.urlsafe_b64decode(stolen + "=" * (-len(stolen) % 4)))
    forged[0] = json.loads(base64.urlsafe_b64decode(first[surface.read] + "==="))[
        0
    ]  # our tie, their position
    cursor = base64.urlsafe_b64encode(json.dumps(forged).encode()).rstrip(b"=").decode()
    answer = call(surface, ("GET", path), surface.read, params={"limit": 1, "cursor": cursor})
    assert answer.status_code == 200
    assert SECRET not in answer.text
    assert OTHER.project_id not in answer.text


def test_event_of_another_tenant_is_stored_nowhere(surface: Surface, stored: Stored) -> None:
    for claim in ({"project_id": OTHER.project_id}, {"org_id": OTHER.org_id}):
        event_of_theirs: Any = body(**claim)
        answer = requests.post(
            surface.base_url + "/v1/events",
            json=event_of_theirs,
            headers={"X-API-Key": surface.ingest},
            timeout=120,
        )
        assert (answer.status_code, answer.json()["code"]) == (422, "tenancy_mismatch")
    assert stored() == []
    assert call(surface, ("POST", "/v1/events"), surface.other_ingest).status_code == 202
    [record] = stored()
    assert json.loads(record.value)["project_id"] == OTHER.project_id


@pytest.mark.parametrize("role", Role)
def test_token_of_a_person_has_the_rights_of_their_role(
    surface: Surface, pool: ConnectionPool[Connection], role: Role
) -> None:
    email = f"{role}@{TENANCY.org_id}.example"
    add_person(pool, email, org_id=TENANCY.org_id, role=role, actor="cli:test")
    issued = PersonTokens(pool).issue_for(email, TENANCY.project_id, name="t", days=1, actor="cli:test")
    rights: dict[tuple[str, str], Right | None] = {}
    rights |= {(one.method, one.path): one.right for one in CORE_ENDPOINTS}
    rights |= {(one.method, one.path): one.right for one in INGEST_ENDPOINTS}
    for route in READ_ROUTES | ADMIN_ROUTES | INGEST_ROUTES:
        answer = call(surface, route, issued.text)
        right = rights[route]
        is_allowed = right is not None and right in ROLE_RIGHTS[role]
        assert (answer.status_code != 403) == is_allowed, (route, answer.status_code)
        assert is_allowed or answer.json()["code"] == "role"
        assert answer.status_code != 401
        has_our_rule = route[1].startswith(("/v1/rules", "/v1/audit"))  # it is called like theirs
        assert SECRET not in answer.text or has_our_rule
    assert their_status(pool) == ("open",)
