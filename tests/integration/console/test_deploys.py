"""The pages of deploys: what was changed, and what differs between the minutes before and after."""

from signals.domain.access.people import Role
from tests.integration.console.conftest import BASE, Visitor
from tests.support.console_world import RELEASES, World


def test_deploy_page_compares_before_with_after(visitor: Visitor, world: World) -> None:
    reader = visitor(Role.VIEWER)
    assert f'href="{BASE}/deploys/{world.deploy_id}"' in reader.get(f"{BASE}/deploys").text
    page = reader.get(f"{BASE}/deploys/{world.deploy_id}").text
    assert f"<h1>{RELEASES[0]} of shop</h1>" in page
    assert "in the 30 minutes before" in page
    assert "in the 30 minutes from it on" in page
    assert f'href="{BASE}/incidents/{world.open_id}"' in page  # it began five minutes later
    assert "PRICE_MISSING</a>" in page


def test_deploys_are_filtered_by_environment_and_service(visitor: Visitor, world: World) -> None:
    reader = visitor(Role.VIEWER)
    assert RELEASES[0] in reader.get(f"{BASE}/deploys?env=prod&service=shop").text
    for query in ("env=dev", "service=other"):
        assert "No deploy" in reader.get(f"{BASE}/deploys?{query}").text
    assert reader.get(f"{BASE}/deploys?env=moon").status_code == 400
