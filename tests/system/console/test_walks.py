"""People at work: with the keyboard alone, without JavaScript, and two at once."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Dialog
from psycopg_pool import ConnectionPool

from signals.clients.opensearch.connection import Client
from signals.clients.postgres import Connection
from signals.domain.access.people import Role
from tests.integration.core.conftest import index
from tests.support.console_world import SHOP, add_incident, error
from tests.support.model_server import ModelServer, Reply, open_model_server, variables_of
from tests.system.console.conftest import BASE, LIVE, Site, faults_of, go_by_keys


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelServer]:
    """A scripted model that searches once and then answers, and the environment that names it."""
    with open_model_server() as server:
        for name, value in variables_of(server).items():
            monkeypatch.setenv(name, value)
        calls = [("facets", {"filters": "event_type:error"})]
        said = "- It began after the deploy [T1].\n- The moon did it.\n"
        server.script.extend([Reply(calls=calls, streams=True), Reply(content=said, streams=True)])
        yield server


def test_keyboard_alone_finds_and_resolves_an_incident(site: Site) -> None:
    context = site.context(Role.RESPONDER)
    page = context.pages[0]
    faults = faults_of(page)
    go_by_keys(page, "gu", "**/outages")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/incidents/{site.world.open_id}")
    with page.expect_navigation():
        page.keyboard.press("i")
    assert page.locator(".head .status").inner_text() == "Investigating"
    with page.expect_navigation():
        page.keyboard.press("e")
    assert page.locator(".head .status").inner_text() == "Resolved"
    assert page.title().startswith("Resolved")
    page.keyboard.press("/")
    page.wait_for_url("**/search")
    page.keyboard.press("/")
    page.keyboard.type("declined i e")  # letters in a field are no shortcuts
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert "q=declined+i+e" in page.url
    assert faults == []
    context.close()


def test_focus_is_visible_and_reaches_the_actions_in_order(site: Site) -> None:
    context = site.context(Role.RESPONDER)
    page = context.pages[0]
    page.goto(f"{BASE}/incidents/{site.world.open_id}")
    reached = []
    for _ in range(20):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("() => document.activeElement.innerText.trim()"))
        outline = page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", reached
    assert reached[0] == "Skip to content"
    assert reached.index("Outages") < next(
        i for i, text in enumerate(reached) if text.startswith("I’m on it")
    )
    context.close()


def test_essentials_work_without_javascript(site: Site) -> None:
    context = site.context(Role.RESPONDER, java_script_enabled=False)
    page = context.pages[0]
    page.fill("#link", site.link(Role.RESPONDER))
    page.click("text=Use the link")
    page.wait_for_url("**/console/p/**")
    page.click("nav >> text=Outages")
    page.click("text=PRICE_MISSING")
    page.click("button:has-text('I’m on it')")
    assert page.locator(".head .status").inner_text() == "Investigating"
    page.click("button:has-text('Resolve')")
    assert page.locator(".head .status").inner_text() == "Resolved"
    page.click("nav >> text=Search")
    page.fill("input[name=q]", "declined")
    page.click("button:has-text('Search')")
    assert page.locator(".rows.events li").count() > 0
    context.close()


def test_two_people_see_each_others_changes(site: Site, pool: ConnectionPool[Connection]) -> None:
    first, second = site.context(Role.ADMIN), site.context(Role.RESPONDER)
    path = f"{BASE}/incidents/{site.world.open_id}"
    for context in (first, second):
        context.pages[0].goto(path)
    first.pages[0].click("button:has-text('Resolve')")
    second.pages[0].reload()
    assert second.pages[0].locator(".head .status").inner_text() == "Resolved"
    assert "Admin resolved it" in second.pages[0].locator(".timeline").inner_text()
    for context in (first, second):
        context.close()


def test_viewer_is_offered_nothing_to_change(site: Site) -> None:
    context = site.context(Role.VIEWER)
    page = context.pages[0]
    for path in (f"{BASE}/incidents/{site.world.open_id}", f"{BASE}/settings"):
        page.goto(path)
        assert page.locator("main form").count() == 0
    context.close()


def test_open_page_follows_and_keeps_what_the_reader_opened(site: Site) -> None:
    first, second = site.context(Role.ADMIN), site.context(Role.RESPONDER)
    reader, faults = second.pages[0], faults_of(second.pages[0])
    reader.goto(f"{BASE}/incidents/{site.world.open_id}")
    reader.wait_for_function(LIVE)
    reader.click(".summary .fold summary")
    reader.evaluate("() => document.activeElement.blur()")
    first.pages[0].goto(f"{BASE}/incidents/{site.world.open_id}")
    first.pages[0].click("button:has-text('I’m on it')")
    reader.wait_for_function("() => document.title.startsWith('INVESTIGATING')")
    assert reader.locator(".head .status").inner_text() == "Investigating"
    assert "Admin took it on" in reader.locator(".timeline").inner_text()
    assert reader.locator(".summary .fold").first.get_attribute("open") is not None
    assert reader.locator("#live").inner_text() == "live"
    assert faults == []
    for context in (first, second):
        context.close()


def test_hidden_page_asks_nothing(site: Site) -> None:
    context = site.context(Role.VIEWER)
    page = context.new_page()
    page.add_init_script(
        "Object.defineProperty(document, 'visibilityState', {get: () => window.seen ? 'visible' : 'hidden'})"
    )
    page.goto(f"{BASE}/incidents")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.evaluate("() => new Promise((done) => setTimeout(done, 7000))")  # longer than one turn
    assert asked == []
    with page.expect_request("**/incidents"), page.expect_request("**/live?*"):
        page.evaluate("() => { window.seen = true }")
    context.close()


def test_live_tail_shows_new_events_and_waits_for_a_reader(site: Site, opensearch: Client) -> None:
    def arrive(message: str) -> None:
        index(opensearch, [error(SHOP, datetime.now(UTC), {"route": "/t"}, message)])

    context = site.context(Role.VIEWER)
    page, faults = context.pages[0], faults_of(context.pages[0])
    page.goto(f"{BASE}/search?since=24h")
    page.check("#tail input")
    arrive("first of the tail")
    page.wait_for_selector("a.event >> text=first of the tail")
    assert "tail=1" in page.url
    page.mouse.wheel(0, 1500)
    page.wait_for_function("() => scrollY > 200")
    arrive("second of the tail")
    page.wait_for_selector("#tail button >> text=1 new")
    assert page.locator("a.event >> text=second of the tail").count() == 0
    page.click("#tail button")
    page.wait_for_selector("a.event >> text=second of the tail")
    assert faults == []
    context.close()


def test_keyboard_resolves_several_outages_at_once(site: Site) -> None:
    context = site.context(Role.RESPONDER)
    page = context.pages[0]
    page.goto(f"{BASE}/outages?status=all")
    for _ in range(2):
        page.keyboard.press("j")
        page.keyboard.press("x")
    assert page.locator(".pick input:checked").count() == 2
    with page.expect_navigation():
        page.keyboard.press("e")
    assert page.locator(".list .status.resolved").count() == 3  # one was resolved before
    context.close()


def test_answer_streams_into_an_open_page(site: Site, model: ModelServer) -> None:
    context = site.context(Role.RESPONDER)
    page, faults = context.pages[0], faults_of(context.pages[0])
    page.goto(f"{BASE}/incidents/{site.world.open_id}")
    page.fill("#question", "Why <b>now</b>?")
    page.click("form[data-ask] button")
    page.wait_for_selector(".answer >> text=It began after the deploy.")
    assert page.url.endswith(str(site.world.open_id))  # nothing was loaded anew
    assert page.locator(".answer h3").inner_text() == "Why <b>now</b>?"
    assert "The moon did it." in (page.locator(".answer .dropped").text_content() or "")
    assert page.input_value("#question") == ""
    assert faults == []
    context.close()


def test_feedback_and_questions_work_without_javascript(site: Site, model: ModelServer) -> None:
    context = site.context(Role.RESPONDER, java_script_enabled=False)
    page = context.pages[0]
    page.fill("#link", site.link(Role.RESPONDER))
    page.click("text=Use the link")
    page.wait_for_url("**/console/p/**")
    page.goto(f"{BASE}/incidents/{site.world.open_id}")
    page.fill("input[name=cause]", "A price of null")
    page.click("button:has-text('Not useful')")
    assert "A price of null" in page.locator("#feedback").inner_text()
    page.fill("#question", "Why now?")
    page.click("form[data-ask] button")
    page.wait_for_selector(".answer >> text=It began after the deploy.")
    context.close()


def test_live_change_leaves_selection_scroll_and_opened_details(site: Site) -> None:
    first, second = site.context(Role.ADMIN), site.context(Role.RESPONDER)
    reader, faults = second.pages[0], faults_of(second.pages[0])
    path = f"{BASE}/incidents/{site.world.open_id}"
    reader.goto(path)
    reader.wait_for_function(LIVE)
    reader.click(".summary .fold summary")
    reader.evaluate(
        """() => {
            getSelection().selectAllChildren(document.querySelector(".timeline li:last-child span"));
            window.node = document.querySelector(".timeline li:last-child");
            scrollTo(0, 500);
        }"""
    )
    selected = reader.evaluate("() => getSelection().toString()")
    first.pages[0].goto(path)
    first.pages[0].click("button:has-text('I’m on it')")
    reader.wait_for_function(
        "() => document.querySelector('.timeline').innerText.includes('Admin took it on')"
    )
    assert reader.evaluate("() => getSelection().toString()") == selected != ""
    assert 400 < reader.evaluate("() => scrollY") < 600  # the browser keeps what is seen where it is
    assert reader.evaluate("() => window.node.isConnected")  # the same rows, and one more
    assert reader.locator(".summary .fold").first.get_attribute("open") is not None
    assert faults == []
    for context in (first, second):
        context.close()


def test_rows_that_come_live_can_be_changed(site: Site, pool: ConnectionPool[Connection]) -> None:
    context = site.context(Role.RESPONDER)
    page = context.pages[0]
    page.goto(f"{BASE}/outages?text=GATEWAY_DOWN")
    page.wait_for_function(LIVE)
    assert not page.locator(".bulk").is_visible()
    came = add_incident(pool, fingerprint="GATEWAY_DOWN|/pay|prod", title="GATEWAY_DOWN on /pay in prod")
    page.wait_for_selector(".list >> text=GATEWAY_DOWN")
    page.keyboard.press("j")
    page.keyboard.press("x")
    with page.expect_navigation():
        page.keyboard.press("e")
    page.goto(f"{BASE}/incidents/{came}")
    assert page.title().startswith("Resolved")
    context.close()


def test_outages_merge_and_split_without_javascript(site: Site, pool: ConnectionPool[Connection]) -> None:
    with pool.connection() as connection:
        connection.execute("UPDATE pipeline.outages SET decided_at = now(), settled_at = now()")
    context = site.context(Role.RESPONDER, java_script_enabled=False)
    page = context.pages[0]
    page.fill("#link", site.link(Role.RESPONDER))
    page.click("text=Use the link")
    page.wait_for_url("**/console/p/**")
    page.goto(f"{BASE}/incidents/{site.world.open_id}")
    page.click("text=Merge or split")
    page.check(f"input[value='{site.world.outage_id}']")
    page.click("button:has-text('Merge into the chosen')")
    page.wait_for_url(f"**/outages/{site.world.outage_id}")
    assert "Responder merged two outages into one" in page.locator(".timeline").inner_text()
    page.click("text=Merge or split")
    page.check(f"input[value='{site.world.open_id}']")
    page.click("button:has-text('Split off the chosen')")
    page.wait_for_url(f"**/incidents/{site.world.open_id}")
    page.click("text=The other outage")
    page.wait_for_url(f"**/outages/{site.world.outage_id}")
    assert "Responder split a series off" in page.locator(".timeline").inner_text()
    context.close()


def test_question_comes_before_what_cannot_be_taken_back(site: Site) -> None:
    context = site.context(Role.ADMIN)
    page = context.pages[0]
    page.goto(f"{BASE}/settings")
    with page.expect_navigation():
        page.click("button:has-text('Create key')")
    page.goto(f"{BASE}/settings")
    revoke = page.get_by_role("button", name="Revoke key")
    asked: list[str] = []

    def refuse(dialog: Dialog) -> None:
        asked.append(dialog.message)
        dialog.dismiss()

    page.once("dialog", refuse)
    revoke.click()
    assert asked
    assert asked[0].startswith("Revoke key ")
    assert revoke.count() == 1
    page.once("dialog", lambda dialog: dialog.accept())
    with page.expect_navigation():
        revoke.click()
    assert revoke.count() == 0
    context.close()
