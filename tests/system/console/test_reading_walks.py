"""References lead to marked figures, a phone shows the first row at once, and `g` is forgotten soon."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import Page

from signals.domain.access.people import Role
from tests.system.console.conftest import BASE, Site, go_by_keys, violations
from tests.system.console.test_looks import SHOTS

SMALL: dict[str, int] = {"width": 390, "height": 667}


def shoot(page: Page, name: str) -> None:
    """Keep a picture where one is asked for."""
    if folder := os.environ.get(SHOTS):
        page.screenshot(path=Path(folder) / f"{name}.png")


@pytest.mark.parametrize("look", ["light", "dark", "phone"])
def test_reference_of_a_figure_opens_and_marks_it(site: Site, look: str) -> None:
    context = site.context(Role.VIEWER, look=look)
    page = context.pages[0]
    page.goto(f"{BASE}/incidents/{site.world.open_id}")
    for ref, place in (("F1", "figure-F1"), ("F2", "why-opened")):
        page.locator(".summary .refs a", has_text=ref).first.click()
        page.wait_for_url(f"**#{place}")
        marked = page.locator(f"#{place}:target")
        marked.wait_for()
        box = marked.bounding_box()
        assert box is not None
        assert 0 <= box["y"] < page.evaluate("innerHeight")
        shoot(page, f"reference-{ref}-{look}")
    assert violations(page) == []
    context.close()


def test_first_row_of_a_list_is_on_a_small_phone(site: Site) -> None:
    context = site.context(Role.RESPONDER, look="phone", viewport=SMALL)
    page = context.pages[0]
    for name in ("outages", "incidents"):
        page.goto(f"{BASE}/{name}?status=all")
        first, more = page.locator("[data-list] > li").first, page.get_by_label("More filters")
        box = first.bounding_box()
        assert box is not None
        assert box["y"] + 40 < SMALL["height"], name
        shoot(page, f"phone-{name}")
        assert not page.get_by_label("Severity").is_visible()
        more.check()
        assert page.get_by_label("Severity").is_visible()
        shoot(page, f"phone-{name}-filters")
        assert violations(page) == []
        page.goto(f"{BASE}/{name}?severity=error")
        assert page.get_by_label("Severity").is_visible()  # what narrows the list is not hidden
    page.locator("#live", has_text="live").wait_for()
    assert page.locator("#live").bounding_box() is not None
    context.close()


def test_page_key_is_awaited_for_a_moment_only(site: Site) -> None:
    context = site.context(Role.VIEWER)
    page = context.pages[0]
    page.clock.install()
    page.goto(f"{BASE}/pipeline")
    page.keyboard.press("g")
    page.clock.fast_forward(2_000)
    page.keyboard.press("i")
    go_by_keys(page, "gd", f"**{BASE}/deploys")
    context.close()
