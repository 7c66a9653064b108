"""Saved views: a person names an address, and finds it on its page; other people do not."""

import re
from typing import Final

import pytest

from signals.domain.access.people import Role
from signals.services.access.saved_views import MOST_VIEWS
from tests.integration.console.conftest import BASE, Visitor
from tests.support.console_world import World

SAVE: Final = f"{BASE}/views/save"


def test_view_leads_to_its_address_and_belongs_to_its_person(visitor: Visitor, world: World) -> None:
    mine, theirs = visitor(Role.VIEWER), visitor(Role.RESPONDER)
    query = "?status=all&env=prod"
    answer = mine.post(SAVE, data={"page": "outages", "name": "All of prod", "query": query})
    assert answer.headers["location"] == f"{BASE}/outages{query}"
    page = mine.get(f"{BASE}/outages").text
    assert f'href="{BASE}/outages?status=all&amp;env=prod">All of prod</a>' in page
    assert "All of prod" not in mine.get(f"{BASE}/search").text
    assert "All of prod" not in theirs.get(f"{BASE}/outages").text
    found = re.search(r'name="view" value="([0-9a-f-]{36})"', page)
    assert found is not None
    named = {"page": "outages", "view": found[1]}
    assert theirs.post(f"{BASE}/views/delete", data=named).status_code == 404
    assert mine.post(f"{BASE}/views/delete", data=named).status_code == 303
    assert "All of prod" not in mine.get(f"{BASE}/outages").text


def test_view_of_the_same_name_takes_the_place_of_the_former(visitor: Visitor, world: World) -> None:
    mine = visitor(Role.VIEWER)
    for query in ("?q=first", "?q=second"):
        mine.post(SAVE, data={"page": "search", "name": "mine", "query": query})
    page = mine.get(f"{BASE}/search").text
    assert f"{BASE}/search?q=second" in page
    assert f"{BASE}/search?q=first" not in page


@pytest.mark.parametrize(
    "fields",
    [
        {"page": "outages", "name": "", "query": "?a=b"},
        {"page": "outages", "name": "n" * 41, "query": "?a=b"},
        {"page": "outages", "name": "n", "query": "//evil.example"},
        {"page": "outages", "name": "n", "query": "?" + "a" * 2000},
        {"page": "settings", "name": "n", "query": ""},
    ],
)
def test_wrong_view_is_refused(visitor: Visitor, world: World, fields: dict[str, str]) -> None:
    assert visitor(Role.VIEWER).post(SAVE, data=fields).status_code == 422


def test_person_has_a_bounded_number_of_views(visitor: Visitor, world: World) -> None:
    mine = visitor(Role.VIEWER)
    answers = [
        mine.post(SAVE, data={"page": "outages", "name": f"view {n}", "query": ""}).status_code
        for n in range(MOST_VIEWS + 1)
    ]
    assert answers == [303] * MOST_VIEWS + [422]
