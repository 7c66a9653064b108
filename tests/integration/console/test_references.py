"""Every reference of a summary or an answer leads to what it rests on: an event, or a figure on the page."""

import re
from html.parser import HTMLParser
from typing import Final
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool
from starlette.testclient import TestClient

from signals.clients.postgres import Connection, transaction
from signals.domain.access.people import Role
from tests.integration.console.conftest import BASE, Visitor
from tests.support.console_world import World

Pool = ConnectionPool[Connection]
VOID: Final = frozenset({"input", "meta", "link", "br", "img", "rect", "line", "path"})
SAYS: Final = (
    "Requests with region=eu fail since 10:02 UTC: 93 % of these requests fail (112 of 120), "
    "2 % of the others (9 of 400). It began 6 minutes after the deploy of release=2."
)
FIGURES: Final = {"F4": "route: /cart in 50 of 50 representative events (a sample)", "F6": SAYS}


class Shown(HTMLParser):
    """The references of a page, and the text of each element with an id."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.references: list[tuple[str, str]] = []
        self.unlinked: list[str] = []
        self.texts: dict[str, str] = {}
        self._open: list[tuple[str, str]] = []
        self._in_refs = 0
        self._link: str | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag in VOID:
            return
        self._open.append((tag, given.get("id", "")))
        self.texts.setdefault(given.get("id", ""), "")
        if given.get("class") == "refs" and tag == "span":
            self._in_refs = len(self._open)
        elif self._in_refs and tag == "a":
            self._link = given["href"]

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass
        self._link = None
        if len(self._open) < self._in_refs:
            self._in_refs = 0

    def handle_data(self, data: str) -> None:
        for _, name in self._open:
            if name:
                self.texts[name] += data
        if self._in_refs and data.strip():
            if self._link is None:
                self.unlinked.append(data.strip())
            else:
                self.references.append((data.strip(), self._link))


def page_of(reader: TestClient, incident_id: UUID) -> Shown:
    return Shown(reader.get(f"{BASE}/incidents/{incident_id}").text)


def test_each_reference_of_a_summary_leads_to_what_it_cites(
    visitor: Visitor, pool: Pool, world: World
) -> None:
    reader = visitor(Role.VIEWER)
    shown = page_of(reader, world.open_id)
    with pool.connection() as connection:
        row = connection.execute(
            "SELECT content_json FROM ai_outputs WHERE incident_id = %s", [world.open_id]
        ).fetchone()
    assert row is not None
    figures = row[0]["verification"]["figures"]
    assert {ref for ref, _ in shown.references if ref.startswith("F")} == set(figures)
    assert any(ref.startswith("E") for ref, _ in shown.references)
    assert shown.unlinked == []
    for ref, link in shown.references:
        if ref.startswith("E"):
            assert reader.get(link).status_code == 200
            continue
        seen = shown.texts[link.removeprefix("#")]
        number = re.findall(r"\d+", figures[ref].replace(",", ""))[0]
        assert number in seen.replace(",", "") or figures[ref][:20] in seen, (ref, link, seen)
    links = dict(shown.references)
    assert links["F2"] == "#why-opened"
    assert shown.texts["why-opened"].startswith("48")
    assert links["F3"] == "#why-latest"
    assert shown.texts["why-latest"] == "1,142"


def store_cause(pool: Pool, world: World, **verification: object) -> None:
    """Give the stored summary one cause, which has a group with counts."""
    group = {
        "form": "value",
        "labels": ["region=eu"],
        "failing_inside": 112,
        "failing_outside": 9,
        "working_inside": 8,
        "working_outside": 391,
    }
    change = {"event_id": str(world.deploy_id), "kind": "deploy", "minutes_before": 6}
    content = {
        "likely_causes": [f"[F6] {SAYS}", "A model says this of [F4]."],
        "evidence": [f"[F6] {SAYS}"],
        "findings": {"reference": "working", "causes": [{"says": SAYS, "group": group, "change": change}]},
        "verification": {"claimed": 1, "verified": 1, "figures": FIGURES, **verification},
    }
    with transaction(pool) as connection:
        connection.execute(
            "UPDATE ai_outputs SET content_json = content_json || %s WHERE incident_id = %s",
            [Jsonb(content), world.open_id],
        )


def test_cause_leads_to_the_row_of_its_group_with_the_numbers_it_names(
    visitor: Visitor, pool: Pool, world: World
) -> None:
    store_cause(pool, world, figure_keys={"F6": "cause:1"})
    reader = visitor(Role.VIEWER)
    shown = page_of(reader, world.open_id)
    assert shown.references == [("F6", "#group-1"), ("F4", "#figure-F4")]
    row = shown.texts["group-1"]
    assert "93 % of these requests fail (112 of 120), 2 % of the others (9 of 400)" in row
    assert "6 minutes after a deploy" in row
    assert FIGURES["F4"] in shown.texts["figure-F4"]
    assert f'href="{BASE}/deploys/{world.deploy_id}"' in reader.get(f"{BASE}/incidents/{world.open_id}").text


def test_figure_is_found_by_its_key_and_not_by_its_text(visitor: Visitor, pool: Pool, world: World) -> None:
    reworded = FIGURES | {"F6": "A cause in other words."}
    store_cause(pool, world, figures=reworded, figure_keys={"F6": "cause:1"})
    shown = page_of(visitor(Role.VIEWER), world.open_id)
    assert dict(shown.references)["F6"] == "#group-1"


@pytest.mark.parametrize("keys", [{}, {"figure_keys": {"F6": "of a later release", "F9": "cause:1"}}])
def test_figures_without_a_known_key_have_their_own_places(
    visitor: Visitor, pool: Pool, world: World, keys: dict[str, object]
) -> None:
    store_cause(pool, world, **keys)
    shown = page_of(visitor(Role.VIEWER), world.open_id)
    assert shown.references == [("F6", "#figure-F6"), ("F4", "#figure-F4")]
    assert "93 % of these requests fail (112 of 120)" in shown.texts["figure-F6"]


def test_moved_numbers_leave_the_figure_of_the_summary_its_own_place(
    visitor: Visitor, pool: Pool, world: World
) -> None:
    with transaction(pool) as connection:
        connection.execute(
            "UPDATE pipeline.incident_evaluations SET count = 2000"
            " WHERE incident_id = %s AND moment = 'latest'",
            [world.open_id],
        )
    shown = page_of(visitor(Role.VIEWER), world.open_id)
    assert dict(shown.references)["F3"] == "#figure-F3"
    assert "1142 errors in the 5 minutes" in shown.texts["figure-F3"]


def test_each_reference_of_an_answer_leads_to_its_result(visitor: Visitor, pool: Pool, world: World) -> None:
    tools = [{"ref": "T1", "tool": "facets", "arguments": {"filters": "x"}, "result": "route: 7 of 7"}]
    statements = [{"text": "All are of one route.", "refs": ["T1"]}]
    answer = {"statements": statements, "tools": tools, "dropped": []}
    with transaction(pool) as connection:
        for _ in range(2):
            connection.execute(
                "INSERT INTO pipeline.questions (id, incident_id, project_id, actor, question, answer)"
                " VALUES (gen_random_uuid(), %s, 'shop', 'cli:test', 'Which?', %s)",
                [world.open_id, Jsonb(answer)],
            )
    shown = page_of(visitor(Role.VIEWER), world.open_id)
    links = [link for ref, link in shown.references if ref == "T1"]
    assert len(set(links)) == 2  # each answer has places of its own
    for link in links:
        assert "route: 7 of 7" in shown.texts[link.removeprefix("#")]
