"""Pages load nothing foreign, show times as the reader wants them, and say when a server is away."""

from typing import Final

from psycopg_pool import ConnectionPool
from starlette.testclient import TestClient

from signals.clients.opensearch.connection import open_client
from signals.clients.postgres import Connection
from signals.domain.access.people import Role
from signals.services.access.people import add_person, issue_link
from signals.settings import OpenSearchSettings
from tests.integration.console.conftest import ADDRESS, BASE, SAME_ORIGIN, Visitor
from tests.integration.console.elements import Elements
from tests.support.console_world import SHOP, World, console_app

Pool = ConnectionPool[Connection]
PAGES: Final = (
    "/",
    "/outages",
    "/outages?status=all&verdict=any",
    "/incidents",
    "/incidents?status=all",
    "/search",
    "/search?since=24h&facets=1&comparison=1&q=-error_code:NOT_FOUND",
    "/deploys",
    "/rules",
    "/rules/errors-above-usual",
    "/rule-editor",
    "/rule-editor?name=errors-above-usual",
    "/pipeline",
    "/dead-letters",
    "/send",
    "/ai-jobs",
    "/settings",
    "/notifications",
)


def test_pages_run_and_load_nothing_foreign(visitor: Visitor, world: World) -> None:
    reader = visitor(Role.ADMIN)
    paths = [BASE + path for path in PAGES]
    paths += [f"{BASE}/incidents/{world.open_id}", f"{BASE}/events/{world.events[0].event_id}"]
    paths += [f"{BASE}/outages/{world.outage_id}/grouping"]
    paths += [f"{BASE}/outages/{world.outage_id}", f"{BASE}/deploys/{world.deploy_id}"]
    for path in [*paths, BASE + "/incidents/none", "/console/nothing/here", "/console/sign-in"]:
        answer = reader.get(path)
        assert list(Elements(answer.text).faults()) == [], path
        policy = answer.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_assets_are_kept_and_named_by_their_content(visitor: Visitor) -> None:
    reader = visitor(Role.VIEWER)
    for tag, attributes in Elements(reader.get(BASE + "/").text).found:
        path = attributes.get("src" if tag == "script" else "href") or ""
        if path.startswith("/console/static/"):
            answer = reader.get(path)
            assert answer.status_code == 200
            assert "immutable" in answer.headers["cache-control"]
            assert reader.get(path.replace(".", ".0", 1)).status_code == 404


def test_times_follow_the_reader(visitor: Visitor, world: World) -> None:
    reader = visitor(Role.VIEWER)
    path = f"{BASE}/incidents/{world.open_id}"
    assert 'title="All times are shown in UTC."' in reader.get(path).text
    reader.cookies.set("signals-zone", "Asia/Kolkata")
    assert "All times are shown in Kolkata" in reader.get(path).text
    answer = reader.post("/console/zone", data={"next": path})
    assert answer.headers["location"] == path
    assert "All times are shown in UTC. Press to change." in reader.get(path).text
    for odd in ("../../etc/passwd", "Mars/Base", "<b>"):
        reader.cookies.set("signals-zone", odd)
        assert reader.get(path).status_code == 200


def test_pages_say_when_opensearch_is_away(pool: Pool, world: World) -> None:
    nowhere = OpenSearchSettings(opensearch_url="http://127.0.0.1:9")
    with open_client(nowhere) as away, console_app(pool, away) as app:
        client = TestClient(app, base_url=ADDRESS, follow_redirects=False, headers=SAME_ORIGIN)
        add_person(pool, "a@b.example", org_id=SHOP.org_id, role=Role.VIEWER, actor="cli:test")
        client.post("/console/sign-in", data={"link": issue_link(pool, "a@b.example")})
        overview = client.get(f"{BASE}/")
        assert overview.status_code == 200
        assert "OpenSearch does not answer" in overview.text
        assert "PRICE_MISSING" in overview.text
        search = client.get(f"{BASE}/search")
        assert search.status_code == 503
        assert "OpenSearch does not answer" in search.text
        assert client.get(f"{BASE}/incidents/{world.open_id}").status_code == 200


def test_browser_that_asks_for_the_root_is_sent_to_the_console(stranger: TestClient) -> None:
    assert stranger.get("/", headers={"Accept": "text/html"}).headers["location"] == "/console/"
    assert stranger.get("/").json()["documentation"] == "/docs"


def test_page_of_an_error_keeps_the_way_back(visitor: Visitor, stranger: TestClient, world: World) -> None:
    person = visitor(Role.VIEWER)
    for path in (f"{BASE}/incidents/{world.deploy_id}", f"{BASE}/rule-editor", f"{BASE}/outages?status=odd"):
        assert f'href="{BASE}/outages"' in person.get(path).text, path
    unknown = person.get("/console/nothing")
    assert (unknown.status_code, "Sign out" in unknown.text) == (404, True)
    assert "Sign out" not in stranger.get("/console/nothing").text
