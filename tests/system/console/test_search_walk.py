"""Search in a browser: the line completes, the histogram has a brush, rows open in place."""

from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Page

from signals.domain.access.people import Role
from tests.system.console.conftest import BASE, Site, faults_of, violations


def query(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def test_line_completes_names_and_values_by_keyboard(site: Site) -> None:
    context = site.context(Role.VIEWER)
    page, faults = context.pages[0], faults_of(context.pages[0])
    page.goto(f"{BASE}/search?since=24h")
    page.keyboard.press("/")
    page.keyboard.type("price -error_c")
    page.wait_for_selector("#completions li >> text=error_code:")
    assert page.get_attribute("#line", "aria-expanded") == "true"
    page.keyboard.press("ArrowDown")
    assert page.get_attribute("#line", "aria-activedescendant") == "completion-0"
    page.keyboard.press("Enter")
    assert page.input_value("#line") == "price -error_code:"
    page.keyboard.type("card")
    page.wait_for_selector("#completions li >> text=CARD_DECLINED")
    assert violations(page) == []
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert page.input_value("#line") == "price -error_code:CARD_DECLINED "
    page.keyboard.type("environment:")
    page.wait_for_selector("#completions li >> text=staging", state="attached")
    page.keyboard.press("Escape")
    assert page.get_attribute("#line", "aria-expanded") == "false"
    page.keyboard.type("prod")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert query(page)["q"] == ["price -error_code:CARD_DECLINED environment:prod"]
    assert faults == []
    context.close()


def test_brush_and_two_bars_choose_a_span(site: Site) -> None:
    context = site.context(Role.VIEWER)
    page, faults = context.pages[0], faults_of(context.pages[0])
    page.goto(f"{BASE}/search?since=6h&q=env:prod")
    bars = page.locator(".histogram.wide a")
    spans = [parse_qs(urlsplit(bars.nth(n).get_attribute("href") or "").query) for n in (2, 6)]
    wanted = {"since": spans[0]["since"], "until": spans[1]["until"], "q": ["env:prod"]}
    boxes = [bars.nth(n).locator(".hit").bounding_box() for n in (2, 6)]
    assert boxes[0]
    assert boxes[1]
    with page.expect_navigation():
        page.mouse.move(boxes[0]["x"] + 1, boxes[0]["y"] + 20)
        page.mouse.down()
        page.mouse.move(boxes[1]["x"] + boxes[1]["width"] - 1, boxes[1]["y"] + 30, steps=5)
        page.mouse.up()
    assert query(page) == wanted
    assert " to " in page.locator("#count").inner_text()
    page.go_back()
    page.locator(".histogram.wide a").nth(6).click(modifiers=["Shift"])
    with page.expect_navigation():
        page.locator(".histogram.wide a").nth(2).click(modifiers=["Shift"])
    assert query(page) == wanted
    assert faults == []
    context.close()


def test_row_opens_in_place_and_its_address_says_so(site: Site) -> None:
    context = site.context(Role.VIEWER, permissions=["clipboard-read", "clipboard-write"])
    page, faults = context.pages[0], faults_of(context.pages[0])
    page.goto(f"{BASE}/search?since=24h&q=error_code:CARD_DECLINED")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    inside = page.locator(".inside").first
    inside.locator("td >> text=/checkout").wait_for()
    assert "open" in query(page)
    assert page.get_attribute("a.event >> nth=0", "aria-expanded") == "true"
    assert violations(page) == []
    inside.locator("tr", has_text="route").locator("button").click()
    page.wait_for_selector(".inside button >> text=Copied")
    assert page.evaluate("() => navigator.clipboard.readText()") == "/checkout"
    page.reload()
    page.wait_for_selector(".inside td >> text=/checkout")
    with page.expect_navigation():
        page.locator(".inside tr", has_text="route").locator("a", has_text="Not").click()
    assert query(page)["q"] == ["error_code:CARD_DECLINED -route:/checkout"]
    assert page.locator("a.event").count() == 0
    assert faults == []
    context.close()


def test_search_works_without_javascript(site: Site) -> None:
    context = site.context(Role.VIEWER, java_script_enabled=False)
    page = context.pages[0]
    page.fill("#link", site.link(Role.VIEWER))
    page.click("text=Use the link")
    page.wait_for_url("**/console/p/**")
    page.goto(f"{BASE}/search?since=24h")
    page.fill("#line", "-error_code:PRICE_MISSING route:/checkout")
    page.click("button:has-text('Search')")
    assert page.locator("a.event").count() > 0
    page.click("text=From … to …")
    page.fill("input[name=begin]", "2026-01-01T10:00")
    page.fill("input[name=end]", "2026-01-01T11:00")
    page.click("button:has-text('Show this span')")
    assert query(page)["until"][0].endswith(":00Z")
    assert "No event matches." in page.locator("main").inner_text()
    page.go_back()
    page.locator("a.event").first.click()
    page.wait_for_url("**/events/**")
    page.locator("tr", has_text="error_code").locator("a", has_text="Not").click()
    assert "-error_code:CARD_DECLINED" in query(page)["q"][0]
    context.close()
