"""Takes the pictures of the console that README and docs show: `python -m tests.support.console_pictures`.

They are of a real run: the whole product on servers of its own, with the traffic that `make demo` sends.
"""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Literal

from playwright.sync_api import Browser

from signals.cli.demo import FINGERPRINT, MODE
from signals.clients.postgres import open_pool
from signals.domain.access.people import Role
from signals.local.bring_up import DEMO_ORG, DEMO_PROJECT
from signals.services.access.people import add_person, issue_link
from tests.support.browser import find_chromium, open_browser
from tests.support.product import Product, open_product
from tests.support.waiting import until

ASSETS: Final = Path(__file__).parents[2] / "docs" / "assets"
EMAIL: Final = "ann@example.com"
BASE: Final = f"/console/p/{DEMO_PROJECT}"
LAPTOP: Final = {"viewport": {"width": 1200, "height": 860}}
PHONE: Final = {"viewport": {"width": 390, "height": 844}, "is_mobile": True}
WITHIN_S: Final = 300.0  # until the incident is explained; ten seconds on a quiet machine


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture: the file's name without its ending, the page, the screen and the theme."""

    name: str
    path: str
    screen: dict[str, Any]
    theme: Literal["light", "dark"]


def pictures(incident_id: str) -> list[Picture]:
    """Return what is pictured."""
    incident, search = f"{BASE}/incidents/{incident_id}", f"{BASE}/search?since=1h&facets=1"
    return [
        Picture("console-light", incident, LAPTOP, "light"),
        Picture("console-dark", incident, LAPTOP, "dark"),
        Picture("console-phone", incident, PHONE, "light"),
        Picture("console-search", search, LAPTOP, "light"),
    ]


def main() -> None:
    """Write the pictures to docs/assets."""
    built_in = {"GRADIENT_API_KEY": ""}
    with TemporaryDirectory() as folder, open_product(Path(folder), settings=built_in) as product:
        product.loadgen(MODE, "--rate=100", "--duration=12s")
        incident_id = until(lambda: _explained(product), within_s=WITHIN_S)
        with open_browser(find_chromium()) as browser:
            for picture in pictures(str(incident_id)):
                _take(browser, product, picture)


def _explained(product: Product) -> str | None:
    """Return the incident of the traffic once its summary names a cause."""
    found = product.get("/v1/incidents?limit=100")["incidents"]
    ours = next((str(one["id"]) for one in found if one["fingerprint"] == FINGERPRINT), None)
    summary = product.get(f"/v1/incidents/{ours}")["summary"] if ours else None
    return ours if summary and summary["content"].get("likely_causes") else None


def _take(browser: Browser, product: Product, picture: Picture) -> None:
    with open_pool(product.servers.postgres, size=1) as pool:
        add_person(pool, EMAIL, org_id=DEMO_ORG, role=Role.RESPONDER, name="Ann Lee", actor="cli:docs")
        link = issue_link(pool, EMAIL)
    address = product.environment["CORE_API_URL"]
    context = browser.new_context(base_url=address, timezone_id="Europe/Berlin", **picture.screen)
    context.set_default_timeout(90_000)
    page = context.new_page()
    page.emulate_media(color_scheme=picture.theme)
    page.goto(link)
    page.wait_for_url("**/console/p/**")
    page.goto(picture.path)
    page.screenshot(path=ASSETS / f"{picture.name}.png")
    context.close()


if __name__ == "__main__":
    main()
