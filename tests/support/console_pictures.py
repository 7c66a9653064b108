"""Takes the pictures of the console that README and docs show: `python -m tests.support.console_pictures`.

It starts servers of its own and builds the tests' outage on them.
"""

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from playwright.sync_api import ViewportSize
from pydantic import SecretStr

from signals.clients.opensearch.connection import open_client
from signals.clients.opensearch.index import ensure_index
from signals.clients.postgres import open_pool
from signals.domain.access.people import Role
from signals.local.stack import ephemeral
from signals.services.access.people import add_person, issue_link
from signals.settings import OpenSearchSettings, PostgresSettings
from signals.store.operations.schema import migrate
from tests.integration.core.conftest import index
from tests.support.browser import find_chromium, open_browser
from tests.support.console_world import SHOP, build_world, console_app
from tests.system.security.conftest import served

ASSETS: Final = Path(__file__).parents[2] / "docs" / "assets"
EMAIL: Final = "ann@example.com"
SIZE: Final = ViewportSize(width=1200, height=860)


def main() -> None:
    """Write `console-light.png` and `console-dark.png`."""
    with TemporaryDirectory() as folder, ephemeral(Path(folder), environ=os.environ) as stack:
        url = SecretStr(stack.environment["DATABASE_URL"])
        postgres = PostgresSettings(database_url=url, pg_sslmode="disable")
        migrate(postgres)
        search = OpenSearchSettings(opensearch_url=stack.environment["OPENSEARCH_URL"])
        with open_pool(postgres, size=4) as pool, open_client(search) as client:
            ensure_index(client)
            world = build_world(pool)
            index(client, world.events)
            add_person(pool, EMAIL, org_id=SHOP.org_id, role=Role.RESPONDER, name="Ann Lee", actor="cli:docs")
            link = issue_link(pool, EMAIL)
            with (
                console_app(pool, client) as app,
                served(app) as address,
                open_browser(find_chromium()) as browser,
            ):
                context = browser.new_context(base_url=address, viewport=SIZE, timezone_id="Europe/Berlin")
                page = context.new_page()
                page.goto(link)
                page.wait_for_url("**/console/p/**")
                for theme in ("light", "dark"):
                    page.emulate_media(color_scheme=theme)
                    page.goto(f"/console/p/{SHOP.project_id}/incidents/{world.open_id}")
                    page.screenshot(path=ASSETS / f"console-{theme}.png")


if __name__ == "__main__":
    main()
