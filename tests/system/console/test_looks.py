"""Every page in light, in dark and on a phone: no error, no policy report, accessible, nothing overflows."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import Page, Request

from signals.domain.access.people import Role
from tests.system.console.conftest import BASE, Site, faults_of, violations, violations_in_dark

SHOTS = "SIGNALS_SCREENSHOTS"
"""A folder that this variable names gets a picture of each page."""


def take_picture(page: Page, name: str) -> None:
    """Write a picture when the variable names a folder."""
    if folder := os.environ.get(SHOTS):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def paths(site: Site) -> dict[str, str]:
    """Return the address of every page by its name."""
    world = site.world
    return {
        "overview": f"{BASE}/",
        "outages": f"{BASE}/outages?status=all",
        "outage": f"{BASE}/outages/{world.outage_id}",
        "grouping": f"{BASE}/outages/{world.outage_id}/grouping",
        "incidents": f"{BASE}/incidents?status=all",
        "incident": f"{BASE}/incidents/{world.open_id}",
        "incident-investigating": f"{BASE}/incidents/{world.investigating_id}",
        "incident-resolved": f"{BASE}/incidents/{world.resolved_id}",
        "search": f"{BASE}/search?since=24h",
        "search-compared": f"{BASE}/search?since=24h&facets=1&comparison=1&filters=error_code:CARD_DECLINED",
        "search-nothing": f"{BASE}/search?q=nothing-like-this",
        "deploys": f"{BASE}/deploys",
        "deploy": f"{BASE}/deploys/{world.deploy_id}",
        "rules": f"{BASE}/rules",
        "rule": f"{BASE}/rules/errors-above-usual",
        "rule-locked": f"{BASE}/rules/error-spike",
        "rule-editor": f"{BASE}/rule-editor",
        "event": f"{BASE}/events/{world.events[0].event_id}",
        "pipeline": f"{BASE}/pipeline",
        "dead-letters": f"{BASE}/dead-letters",
        "ai-jobs": f"{BASE}/ai-jobs",
        "notifications": f"{BASE}/notifications",
        "send": f"{BASE}/send",
        "settings": f"{BASE}/settings",
        "account": "/console/account",
        "sign-in": "/console/sign-in",
    }


@pytest.mark.parametrize("look", ["light", "phone"])
def test_every_page_is_clean(site: Site, look: str) -> None:
    context = site.context(Role.ADMIN, look=look)
    page = context.pages[0]
    faults = faults_of(page)
    found = {}
    for name, path in paths(site).items():
        answer = page.goto(path)
        assert answer is not None
        assert answer.status == 200, path
        overflow = page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth")
        seen = [*violations(page), *([f"overflows by {overflow} px"] if overflow > 0 else [])]
        take_picture(page, f"{name}-{look}")
        if wrong := [*seen, *violations_in_dark(page), *faults]:
            found[name] = wrong
        take_picture(page, f"{name}-{look}-dark")
        page.emulate_media(color_scheme="light")
        faults.clear()
    context.close()
    assert found == {}


@pytest.mark.parametrize("look", ["light", "phone"])
def test_every_refusal_is_a_clean_page(site: Site, look: str) -> None:
    context = site.context(Role.VIEWER, look=look)
    page = context.pages[0]
    found = {}
    for name, path, status in (
        ("nothing-here", "/console/nothing", 404),
        ("not-for-viewers", f"{BASE}/rule-editor", 403),
        ("no-such-project", "/console/p/nobody/", 404),
        ("wrong-query", f"{BASE}/outages?status=odd", 400),
    ):
        answer = page.goto(path)
        assert answer is not None
        assert answer.status == status, path
        overflow = page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth")
        seen = [*violations(page), *([f"overflows by {overflow} px"] if overflow > 0 else [])]
        take_picture(page, f"{name}-{look}")
        if wrong := [*seen, *violations_in_dark(page)]:
            found[name] = wrong
        page.emulate_media(color_scheme="light")
    context.close()
    assert found == {}


def test_first_view_is_small(site: Site) -> None:
    """Budget: 60 kB for the first view, 30 kB of it JavaScript (docs/operations/performance.md)."""
    context = site.context(Role.RESPONDER)
    context.close()
    context = site.browser.new_context(base_url=site.url)
    page = context.new_page()
    sizes: dict[str, int] = {}

    def note(request: Request) -> None:
        size = request.sizes()["responseBodySize"]  # of one from the cache it is negative
        sizes[request.url] = max(size, sizes.get(request.url, 0))

    page.on("requestfinished", note)
    page.goto("/console/sign-in")
    page.goto(site.link(Role.RESPONDER))
    page.wait_for_url("**/console/p/**")
    page.goto(f"{BASE}/incidents/{site.world.open_id}")
    page.wait_for_load_state("networkidle")
    assert all(url.startswith(site.url) for url in sizes)
    scripts = sum(size for url, size in sizes.items() if url.endswith(".js"))
    view = sum(
        size for url, size in sizes.items() if "/static/" in url or url.endswith(str(site.world.open_id))
    )
    print(f"first view {view} bytes, JavaScript {scripts}")
    context.close()
    assert 0 < scripts <= 30_000
    assert 0 < view <= 60_000
