"""New secrets are shown once: loading again repeats no change, and only their maker's browser opens them."""

from typing import Final

import pytest
from psycopg_pool import ConnectionPool

from serve_apps.console import shown_once
from signals.clients.postgres import Connection
from signals.domain.access.people import Role
from tests.integration.console.conftest import BASE, Visitor
from tests.support.console_world import SHOP, World

Pool = ConnectionPool[Connection]
MAKERS: Final = {
    "a key": (f"{BASE}/settings/create-key", {"scope": "ingest"}, f"{BASE}/settings", "sig_ingest_"),
    "a link": (
        f"{BASE}/settings/add-member",
        {"email": "new@shop.example", "role": "viewer"},
        f"{BASE}/settings",
        "/console/sign-in#",
    ),
    "a key for pages": (f"{BASE}/send/create-key", {"for": "pages"}, f"{BASE}/send", "sig_public_"),
    "a token": (
        "/console/account/create-token",
        {"name": "t", "project": SHOP.project_id, "days": "7"},
        "/console/account",
        "sig_user_",
    ),
}


@pytest.mark.parametrize(("path", "form", "page", "secret"), MAKERS.values(), ids=MAKERS)
def test_reload_shows_no_secret_and_makes_none(
    visitor: Visitor, world: World, path: str, form: dict[str, str], page: str, secret: str
) -> None:
    admin = visitor(Role.ADMIN)
    made = admin.post(path, data=form)
    assert (made.status_code, made.headers["location"]) == (303, page)
    assert secret not in made.text
    cookie = made.headers["set-cookie"]
    assert secret not in cookie
    assert {"HttpOnly", f"Path={page}", f"Max-Age={shown_once.LASTS_S}"} <= set(cookie.split("; "))
    assert secret not in admin.get(page, headers={"X-Signals-Live": "1"}).text  # another window
    shown = admin.get(page)
    assert secret in shown.text
    assert "Max-Age=0" in shown.headers["set-cookie"]
    again = admin.get(page)
    assert again.status_code == 200
    assert secret not in again.text
    assert "set-cookie" not in again.headers


def test_sealed_key_opens_for_its_own_session_and_page_alone(visitor: Visitor, world: World) -> None:
    admin, other = visitor(Role.ADMIN), visitor(Role.ADMIN)
    admin.post(f"{BASE}/settings/create-key", data={"scope": "ingest"})
    name, page = "signals-shown-settings", f"{BASE}/settings"
    sealed = admin.cookies[name]
    other.cookies.set(name, sealed)
    other.cookies.set("signals-shown-send", sealed)
    assert "sig_ingest_" not in other.get(page).text
    admin.cookies.set("signals-shown-send", sealed, path=f"{BASE}/send")
    shown = admin.get(f"{BASE}/send")
    assert (shown.status_code, "sig_ingest_" in shown.text) == (200, False)
    admin.cookies.set(name, sealed[:-4] + "AAA=", path=page)
    assert admin.get(page).status_code == 200


def test_sealed_key_opens_for_a_minute(
    visitor: Visitor, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = visitor(Role.ADMIN)
    admin.post(f"{BASE}/settings/create-key", data={"scope": "ingest"})
    monkeypatch.setattr(shown_once, "LASTS_S", -1)  # as if the minute was over
    assert "sig_ingest_" not in admin.get(f"{BASE}/settings").text
