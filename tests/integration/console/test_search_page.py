"""The search page: one line, exclusions, an exact span, values to complete, events with links, an export."""

import csv
import json
import re
from html import unescape
from urllib.parse import parse_qs, urlencode, urlsplit

from starlette.testclient import TestClient

from signals.clients.opensearch.connection import Client
from signals.domain.access.people import Role
from tests.integration.console.conftest import BASE, Visitor
from tests.integration.core.conftest import index
from tests.support.console_world import SHOP, World, error


def total(reader: TestClient, line: str, **more: str) -> int:
    page = reader.get(f"{BASE}/search?{urlencode({'q': line, 'since': '24h', **more})}").text
    found = re.search(r'id="count">([\d,]+) events', page)
    return int(found[1].replace(",", "")) if found else 0


def test_line_holds_words_and_filters_and_excludes(visitor: Visitor, world: World) -> None:
    reader = visitor(Role.VIEWER)
    everything = total(reader, "")
    declined = total(reader, "issuer error_code:CARD_DECLINED")
    assert 0 < declined < everything == 270
    assert total(reader, "-error_code:CARD_DECLINED") == everything - declined
    assert total(reader, "-error_code:CARD_DECLINED -status_code:>=500") < everything - declined
    assert total(reader, "declined", filters="error_code:CARD_DECLINED") == declined  # an older link
    wrong = reader.get(f"{BASE}/search?q=rout:/cart")
    assert wrong.status_code == 400
    assert "rout is not a filter" in wrong.text
    assert 'value="rout:/cart"' in wrong.text


def test_facet_has_links_for_its_value_and_for_all_others(visitor: Visitor, world: World) -> None:
    reader = visitor(Role.VIEWER)
    page = unescape(reader.get(f"{BASE}/search?since=24h&facets=1&q=env:prod").text)
    links = [
        parse_qs(urlsplit(one).query)["q"] for one in re.findall(r'href="(\?[^"]*CARD_DECLINED[^"]*)"', page)
    ]
    assert ["env:prod error_code:CARD_DECLINED"] in links
    assert ["env:prod -error_code:CARD_DECLINED"] in links


def test_span_is_written_and_chosen_in_the_readers_time(visitor: Visitor, world: World) -> None:
    reader = visitor(Role.VIEWER)
    reader.cookies.set("signals-zone", "Europe/Berlin")
    chosen = {"q": "price", "begin": "2026-01-15T13:00", "end": "2026-01-15T14:30"}
    answer = reader.get(f"{BASE}/search?{urlencode(chosen)}")
    assert answer.status_code == 303
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    assert query == {"q": ["price"], "since": ["2026-01-15T12:00:00Z"], "until": ["2026-01-15T13:30:00Z"]}
    page = reader.get(answer.headers["location"]).text
    assert "15 Jan" in page
    assert re.search(r"selected>[^<]*13:00 to [^<]*14:30</option>", page)
    assert 'name="begin" value="2026-01-15T13:00"' in page
    assert reader.get(f"{BASE}/search?begin=tomorrow").status_code == 400
    ended = reader.get(f"{BASE}/search?since=1h&until=2026-01-15T13:30:00Z")
    assert ended.status_code == 200  # a span that ends now has no other end


def test_values_to_complete_are_those_of_the_span(visitor: Visitor, world: World) -> None:
    reader = visitor(Role.VIEWER)
    values = reader.get(f"{BASE}/search/values?since=24h").json()
    assert {"PRICE_MISSING", "CARD_DECLINED", "NOT_FOUND"} <= set(values["error_code"])
    assert values["severity"][0] == "error"
    assert {"critical", "info"} <= set(values["severity"])  # words that no event has
    assert "500" in values["status_code"]
    before = reader.get(f"{BASE}/search/values?since=2020-01-01T00:00:00Z&until=2020-01-02T00:00:00Z")
    assert before.json()["error_code"] == []
    assert reader.get(f"{BASE}/search/values?since=odd").status_code == 400


def test_event_keeps_the_search_that_found_it(visitor: Visitor, world: World) -> None:
    reader = visitor(Role.VIEWER)
    page = unescape(reader.get(f"{BASE}/search?q=price&since=6h").text)
    row = re.search(rf'class="event" href="({BASE}/events/[^"]+)"', page)
    assert row is not None
    event = unescape(reader.get(row[1]).text)
    assert f'href="{BASE}/search?q=price&since=6h">Search</a>' in event
    links = [
        parse_qs(urlsplit(one).query)["q"][0] for one in re.findall(r'href="([^"]*/search\?[^"]*)"', event)
    ]
    assert {"price route:/cart", "price -route:/cart", "price severity:error"} <= set(links)
    assert "price label:region=" in " ".join(links)
    assert event.count("data-copy hidden") >= 6
    for link in re.findall(rf'href="({BASE}/search\?[^"]*)"', event):
        assert reader.get(link).status_code == 200, link


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
