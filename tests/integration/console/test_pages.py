"""Pages show what is stored, escape all of it, and change what a person asks for in their name."""

import csv
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from html import unescape
from html.parser import HTMLParser
from typing import Final

import pytest
from psycopg_pool import ConnectionPool
from starlette.testclient import TestClient

from shared_types import Tenancy
from signals.clients.opensearch.connection import Client, open_client
from signals.clients.postgres import Connection, transaction
from signals.domain.access.people import Role
from signals.domain.detection.buckets import minute_of
from signals.domain.detection.rule_text import parse_rule
from signals.services.access.authentication import KeyAuthenticator, KeyGranted, KeyRefused
from signals.services.access.people import add_person, issue_link
from signals.services.access.provisioning import create_org, create_project
from signals.settings import OpenSearchSettings
from signals.store.detection import rules
from tests.integration.console.conftest import ADDRESS, BASE, SAME_ORIGIN, Visitor
from tests.integration.console.hostile_rows import store_everywhere
from tests.integration.core.conftest import index
from tests.support.console_world import FINGERPRINT, SHOP, World, add_incident, console_app, error
from tests.support.own_rules import OwnEngine

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
HOSTILE: Final = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</title><svg onload=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "\u202egnp.exe",
    "a" * 250,
    "]]><!--",
)


class Elements(HTMLParser):
    """The tags of a page with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        self.found.append((tag, dict(attrs)))

    def faults(self) -> Iterator[str]:
        """Yield what the content security policy would stop, or what leads to another host."""
        for tag, attributes in self.found:
            if tag in ("style", "img", "iframe", "object", "base", "embed"):
                yield tag
            if tag == "script" and not str(attributes.get("src", "")).startswith("/console/static/"):
                yield "inline script"
            for name, value in attributes.items():
                if name.startswith("on") or name == "style":
                    yield name
                if name in ("href", "src", "action") and not re.match(r"[/?#]", value or "?"):
                    yield f"{name}={value}"


def status_of(pool: Pool, incident_id: object) -> str:
    with pool.connection() as connection:
        row = connection.execute("SELECT status FROM incidents WHERE id = %s", [incident_id]).fetchone()
    assert row is not None
    return str(row[0])


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


def test_incident_page_says_since_when_how_bad_and_why(visitor: Visitor, world: World) -> None:
    page = visitor(Role.RESPONDER).get(f"{BASE}/incidents/{world.open_id}").text
    assert re.search(r"<title>FIRING · PRICE_MISSING", page)
    for text in ("critical", "At its last", "1,142", "Why it fired", "threshold of <b>30</b>", "TypeError"):
        assert text in page, text
    assert "statements verified" in page
    assert f'href="{BASE}/events/' in page  # evidence leads to the event that it rests on
    assert page.count('<svg class="chart') == 2
    assert "GET /v1/" not in page  # steps for programs have no place here


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_stays_text_in_every_field(
    visitor: Visitor, pool: Pool, opensearch: Client, world: World, hostile: str
) -> None:
    reader = visitor(Role.ADMIN)
    incident_id = add_incident(pool, title=hostile, fingerprint="X|/y|prod")
    event = error(SHOP, world.events[0].occurred_at, {"route": "/y", "error_code": hostile[:128]}, hostile)
    index(opensearch, [event])
    store_everywhere(pool, incident_id, hostile)
    for path in (
        f"{BASE}/incidents/{incident_id}",
        f"{BASE}/incidents",
        f"{BASE}/outages",
        f"{BASE}/",
        f"{BASE}/ai-jobs",
        f"{BASE}/settings",
        f"{BASE}/send",
        f"{BASE}/notifications",
        f"{BASE}/search?since=6h&facets=1",
        f"{BASE}/search?since=6h&comparison=1&filters=event_type:error",
        f"{BASE}/events/{event.event_id}",
    ):
        page = reader.get(path)
        assert page.status_code == 200, (path, page.text[-300:])
        assert list(Elements(page.text).faults()) == [], path
    echoed = reader.get(f"{BASE}/search", params={"q": hostile, "filters": hostile, "since": hostile})
    assert echoed.status_code == 400
    assert list(Elements(echoed.text).faults()) == []


@pytest.mark.parametrize("hostile", [*HOSTILE, "a=b|release=c|other"])
def test_incident_of_an_own_rule_is_shown_with_hostile_attributes_as_text(
    visitor: Visitor, pool: Pool, world: World, hostile: str
) -> None:
    written = {
        "name": "odd-releases",
        "kind": "new_series",
        "on": {"event_type": "custom"},
        "per": ["release", "route"],
        "floor": 5,
    }
    with transaction(pool) as connection:
        assert rules.create(connection, SHOP.project_id, parse_rule(written), created_by="key:1", most=9) == 1
    minute = minute_of(datetime.now(UTC)) - 1
    kind = (("environment", "prod"), ("event_type", "custom"), ("release", hostile), ("route", hostile))
    engine = OwnEngine(pool, tenancy=SHOP)
    engine.count({(kind, minute): 6})
    engine.tick(minute)
    with pool.connection() as connection:
        [(incident_id, title)] = connection.execute(
            "SELECT id, title FROM incidents WHERE title LIKE 'odd-releases%'"
        ).fetchall()
    assert hostile[:30] in title
    reader = visitor(Role.ADMIN)
    for path in (f"/incidents/{incident_id}", "/incidents?status=all", "/outages?verdict=any"):
        answer = reader.get(BASE + path)
        assert answer.status_code == 200, (path, answer.text[-300:])
        assert list(Elements(answer.text).faults()) == [], path
        assert "odd-releases" in unescape(answer.text), path
    page = unescape(reader.get(f"{BASE}/incidents/{incident_id}").text)
    assert hostile[:30] in page
    assert "Why it fired" in page


def test_status_changes_in_the_name_of_the_person(visitor: Visitor, pool: Pool, world: World) -> None:
    person = visitor(Role.RESPONDER)
    path = f"{BASE}/incidents/{world.open_id}"
    for wanted, done in (
        ("investigating", "took it on"),
        ("resolved", "resolved it"),
        ("open", "opened it again"),
    ):
        answer = person.post(path + "/status", data={"status": wanted})
        assert (answer.status_code, answer.headers["location"]) == (303, path)
        assert status_of(pool, world.open_id) == wanted
        assert f"responder {done}" in person.get(path).text
    with pool.connection() as connection:
        rows = connection.execute(
            "SELECT actor FROM pipeline.incident_changes WHERE incident_id = %s AND actor LIKE 'user:%%'",
            [world.open_id],
        ).fetchall()
    assert len(rows) == 3


def test_reopening_beside_a_newer_incident_is_refused_in_words(
    visitor: Visitor, pool: Pool, world: World
) -> None:
    older = add_incident(pool, status="resolved", fingerprint=FINGERPRINT)
    person, path = visitor(Role.RESPONDER), f"{BASE}/incidents/{older}"
    answer = person.post(f"{path}/status", data={"status": "open"})
    assert (answer.status_code, answer.headers["location"]) == (303, path)
    page = person.get(path).text
    assert "A newer incident of the same kind" in page
    assert f'It fails again: <a href="{BASE}/incidents/{world.open_id}">' in page
    assert status_of(pool, older) == "resolved"


def test_older_pages_reach_every_incident_once(visitor: Visitor, pool: Pool) -> None:
    ids = {str(add_incident(pool, fingerprint=f"E{n}|/r|prod", title=f"Title {n}")) for n in range(120)}
    reader, path, seen = visitor(Role.VIEWER), f"{BASE}/incidents?status=all&env=prod", []
    while path:
        page = reader.get(path).text
        seen += re.findall(rf'<a href="{BASE}/incidents/([0-9a-f-]{{36}})"', page)
        older = re.search(r'<a href="(\?[^"]+)" rel="next"', page)
        path = f"{BASE}/incidents{older[1].replace('&amp;', '&')}" if older else ""
    assert len(seen) == len(set(seen))
    assert ids <= set(seen)


@pytest.mark.parametrize("query", ["status=odd", "env=moon", "cursor=nonsense"])
def test_wrong_filter_is_named(visitor: Visitor, query: str) -> None:
    answer = visitor(Role.VIEWER).get(f"{BASE}/incidents?{query}")
    assert answer.status_code == 400
    assert query.partition("=")[0] in answer.text


def test_search_narrows_by_its_own_links(visitor: Visitor, world: World) -> None:
    reader = visitor(Role.VIEWER)
    page = reader.get(f"{BASE}/search?since=24h&facets=1").text
    assert "270 events" in page
    link = re.search(r'href="(\?[^"]*CARD_DECLINED[^"]*)"', page)
    assert link is not None
    narrowed = reader.get(f"{BASE}/search{link[1].replace('&amp;', '&')}").text
    assert "issuer declined the card" in narrowed
    assert "TypeError" not in narrowed
    bar = re.search(r'<a href="(\?[^"]*until=[^"]*)"', page)
    assert bar is not None
    assert reader.get(f"{BASE}/search{bar[1].replace('&amp;', '&')}").status_code == 200
    older = re.search(r'<a href="(\?[^"]*cursor=[^"]*)" rel="next"', page)
    assert older is not None
    second = reader.get(f"{BASE}/search{older[1].replace('&amp;', '&')}")
    assert second.status_code == 200
    ids = re.compile(rf"{BASE}/events/([0-9a-f-]{{36}})")
    assert set(ids.findall(page)).isdisjoint(ids.findall(second.text))


def test_export_holds_every_event_and_no_formula(visitor: Visitor, opensearch: Client, world: World) -> None:
    formula = '=HYPERLINK("http://evil.example","x")'
    index(opensearch, [error(SHOP, world.events[0].occurred_at, {"route": "/f"}, formula)])
    reader = visitor(Role.VIEWER)
    lines = reader.get(f"{BASE}/export?since=24h").text.splitlines()
    assert len({json.loads(line)["event_id"] for line in lines}) == len(lines) == 271
    answer = reader.get(f"{BASE}/export?since=24h&format=csv")
    assert answer.headers["content-disposition"].startswith("attachment")
    rows = list(csv.reader(answer.text.splitlines()))
    assert len(rows) == 272
    cells = [cell for row in rows for cell in row]
    assert "'" + formula in cells
    assert not [cell for cell in cells if cell.startswith(("=", "+", "@"))]


def test_key_is_shown_once_works_and_ends(visitor: Visitor, pool: Pool) -> None:
    admin = visitor(Role.ADMIN)
    created = admin.post(f"{BASE}/settings/create-key", data={"scope": "ingest"}, follow_redirects=True)
    found = re.search(r'<pre id="new-key"[^>]*>(sig_ingest_[^<]+)</pre>', created.text)
    assert found is not None
    key = found[1]
    assert f"Bearer {key}" in created.text  # the line to paste has it
    assert key not in admin.get(f"{BASE}/settings").text
    granted = KeyAuthenticator(pool).check(key)
    assert isinstance(granted, KeyGranted)
    named = {"key": str(granted.key_id)}
    limits = named | {"events_per_second": "50", "events_per_day": ""}
    assert admin.post(f"{BASE}/settings/limit-key", data=limits).status_code == 303
    limited = KeyAuthenticator(pool).check(key)
    assert isinstance(limited, KeyGranted)
    assert limited.limits.events_per_second == 50
    refused = admin.post(f"{BASE}/settings/limit-key", data=named | {"events_per_second": "many"})
    assert refused.status_code == 422
    assert "whole number" in refused.text
    assert admin.post(f"{BASE}/settings/revoke-key", data=named).status_code == 303
    assert KeyAuthenticator(pool).check(key) == KeyRefused("revoked")
    page = admin.get(f"{BASE}/settings").text
    for verb in ("ingest key created", "key limited", "key revoked"):
        assert verb in page


def test_third_key_is_refused_with_the_remedy(visitor: Visitor) -> None:
    admin = visitor(Role.ADMIN)
    answers = [admin.post(f"{BASE}/settings/create-key", data={"scope": "read"}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [303, 303, 422]
    refusal = answers[-1].text
    assert "This project has 2 valid keys of scope read" in refusal
    named = re.findall(r"([0-9a-f]{8}… )\(never used\)", refusal)
    assert {f">{one.strip()}<" in refusal for one in named} == {True}  # as the list names them
    assert "signals keys revoke" not in refusal


def test_empty_project_teaches_how_to_send(visitor: Visitor, pool: Pool) -> None:
    create_org(pool, "fresh", "Fresh")
    create_project(pool, "new", org_id="fresh", name="New")
    admin, page = visitor(Role.ADMIN, org_id="fresh"), "/console/p/new/"
    empty = admin.get(page).text
    assert "curl -sS http://127.0.0.1/v1/events" in empty
    assert '<noscript><meta http-equiv="refresh"' in empty  # a script looks without loading the page again
    assert "Waiting for the first event" in admin.get(f"{page}arrivals").text
    made = admin.post(f"{page}create-first-key", data={"scope": "ingest"})
    assert (made.status_code, made.headers["location"]) == (303, f"{page}#first-event")
    filled = admin.get(page).text
    found = re.search(r'<pre id="new-key"[^>]*>(sig_ingest_[^<]+)</pre>', filled)
    assert found is not None
    assert filled.count(found[1]) > 5  # the key itself, curl, and the lines of other clients
    assert "http-equiv" not in filled  # it would take the key away
    assert isinstance(KeyAuthenticator(pool).check(found[1]), KeyGranted)
    assert found[1] not in admin.get(page).text
    admin.post(f"{page}create-first-key", data={"scope": "ingest"})
    assert admin.post(f"{page}create-first-key", data={"scope": "ingest"}).status_code == 409


def test_first_event_turns_the_page_green(
    visitor: Visitor, pool: Pool, opensearch: Client, world: World
) -> None:
    create_org(pool, "fresh", "Fresh")
    create_project(pool, "new", org_id="fresh", name="New")
    tenancy = Tenancy("fresh", "new")
    index(opensearch, [error(tenancy, world.events[-1].occurred_at, {"route": "/a"}, "hello")])
    admin = visitor(Role.ADMIN, org_id="fresh")
    answer = admin.get("/console/p/new/")
    assert "The first event has arrived" in answer.text
    assert "http-equiv" not in answer.text
    assert "data-arrived" in admin.get("/console/p/new/arrivals").text


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
