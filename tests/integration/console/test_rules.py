"""The pages of rules: read by everybody, changed by admins in their own name, tried before they count."""

import re
from typing import Final

import pytest
from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection
from signals.domain.access.people import Role
from tests.integration.console.conftest import BASE, Visitor
from tests.support.console_world import World

Pool = ConnectionPool[Connection]
EDITOR: Final = f"{BASE}/rule-editor"
RULE: Final = """name: cart-failures
kind: floor_ratio
on: {event_type: error, route: /cart}
per: [route, environment]
window: 10m
floor: 20
ratio: 2
"""


def text_in(page: str) -> str:
    found = re.search(r"<textarea[^>]*>(.*?)</textarea>", page, re.DOTALL)
    assert found is not None
    return found[1].replace("&#39;", "'").replace("&#34;", '"')


def test_rule_is_created_edited_and_removed_in_the_name_of_the_admin(visitor: Visitor, world: World) -> None:
    admin = visitor(Role.ADMIN)
    created = admin.post(EDITOR, data={"text": RULE})
    assert (created.status_code, created.headers["location"]) == (303, f"{BASE}/rules/cart-failures")
    page = admin.get(f"{BASE}/rules/cart-failures").text
    assert "error events · route: /cart" in page
    assert "created by admin" in page
    assert (
        "it counts at least 20 events in 10 minutes, and 2 times as many as usual in 60 minutes before"
        in page
    )
    text = text_in(admin.get(f"{EDITOR}?name=cart-failures").text)
    changed = {"text": text.replace("floor: 20", "floor: 25"), "name": "cart-failures", "version": "1"}
    assert admin.post(EDITOR, data=changed).status_code == 303
    assert "floor: 20 to 25" in admin.get(f"{BASE}/rules/cart-failures").text
    stale = admin.post(EDITOR, data=changed | {"text": RULE.replace("20", "30")})
    assert stale.status_code == 409
    assert "Another person changed this rule meanwhile" in stale.text
    assert "floor: 30" in text_in(stale.text)  # the writer's text is not lost
    assert admin.post(f"{BASE}/rules/cart-failures/remove", data={"version": "2"}).status_code == 303
    assert "cart-failures" not in admin.get(f"{BASE}/rules").text


def test_locked_rule_can_only_be_disabled(visitor: Visitor, world: World) -> None:
    admin, path = visitor(Role.ADMIN), f"{BASE}/rules/error-spike"
    refused = admin.post(path + "/remove", data={"version": "1"})
    assert refused.status_code == 409
    assert "This rule is locked" in refused.text
    copy = text_in(admin.get(f"{EDITOR}?name=error-spike").text)
    assert "name: my-error-spike" in copy
    assert admin.post(path + "/switch", data={"enabled": "false", "version": "1"}).status_code == 303
    assert "<title>Disabled · Rule error-spike" in admin.get(path).text
    assert admin.post(path + "/switch", data={"enabled": "true", "version": "1"}).status_code == 409
    assert admin.post(path + "/switch", data={"enabled": "true", "version": "2"}).status_code == 303


def test_preview_judges_the_stored_counts_and_stores_nothing(visitor: Visitor, world: World) -> None:
    admin = visitor(Role.ADMIN)
    page = admin.post(f"{EDITOR}/preview", data={"text": RULE}).text
    assert re.search(r"<b>1</b> incident in 14 days", page)
    assert "/cart · prod" in page
    assert "events beside the hour before: " in page
    assert "Counts begin at " in page
    assert not re.search(r"Counts begin at \d{4}-\d\d-\d\dT", page)  # in the reader's zone, not as a stamp
    assert "the share of <code>on</code> among <code>of</code>" in page
    assert "cart-failures" not in admin.get(f"{BASE}/rules").text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "A rule must be an object"),
        ("name: [", "cannot be read as YAML"),
        ("a: &a [x, x]\nb: [*a, *a]", "no anchors and aliases"),
        (RULE.replace("floor: 20", "floor: many"), "floor: &#39;many&#39; cannot stand here"),
        (RULE.replace("floor_ratio", "magic"), "write one of floor_ratio"),
        (RULE.replace("cart-failures", "<script>"), "name: "),
        ("[" * 60_000, "nested 20 deep at most"),
    ],
)
def test_wrong_rule_is_refused_beside_its_text(visitor: Visitor, world: World, text: str, said: str) -> None:
    admin = visitor(Role.ADMIN)
    for path, status in ((EDITOR, 422), (f"{EDITOR}/preview", 200)):
        answer = admin.post(path, data={"text": text})
        assert answer.status_code == status
        assert said in answer.text
        assert "<script>" not in text_in(answer.text)
