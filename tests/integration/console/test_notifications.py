"""The page of notifications: admins connect a destination, test it, and route incidents to it."""

import re
from collections.abc import Iterator
from typing import Final

import pytest
from psycopg_pool import ConnectionPool
from starlette.testclient import TestClient

from signals.clients.postgres import Connection
from signals.domain.access.people import Role
from tests.integration.console.conftest import BASE, Visitor
from tests.support.console_world import World
from tests.support.receivers import HttpReceiver, http_receiver

Pool = ConnectionPool[Connection]
PAGE: Final = f"{BASE}/notifications"


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    """An HTTP server that keeps what it gets."""
    with http_receiver() as receiver:
        yield receiver


def id_of(page: str, name: str) -> str:
    item = page[page.index(f"<b>{name}</b>") :]
    found = re.search(r'name="destination" value="([0-9a-f-]{36})"', item)
    assert found is not None
    return found[1]


def create(admin: TestClient, receiver: HttpReceiver, **fields: str) -> str:
    given = {"kind": "webhook", "name": "team", "url": f"{receiver.url}/hook", "everything": "1"}
    answer = admin.post(f"{PAGE}/create-destination", data=given | fields, follow_redirects=True)
    assert answer.status_code == 200, answer.text
    return answer.text


def test_webhook_is_created_tested_and_deleted(
    visitor: Visitor, world: World, receiver: HttpReceiver
) -> None:
    admin = visitor(Role.ADMIN)
    created = create(admin, receiver)
    key = re.search(r"<pre[^>]*>(whsec_[^<]+)</pre>", created)
    assert key is not None
    page = admin.get(PAGE).text
    assert key[1] not in page
    assert f"{receiver.url}/hook" not in page  # such addresses hold tokens
    named = {"destination": id_of(page, "team")}
    tested = admin.post(f"{PAGE}/test-destination", data=named, follow_redirects=True)
    assert "The test arrived after" in tested.text
    assert len(receiver.accepted) == 1
    receiver.mode = "gone"
    gone = admin.post(f"{PAGE}/test-destination", data=named, follow_redirects=True)
    assert "The test did not arrive" in gone.text
    assert admin.post(f"{PAGE}/switch-destination", data=named | {"enabled": "false"}).status_code == 303
    assert "disabled" in admin.get(PAGE).text
    assert admin.post(f"{PAGE}/delete-destination", data=named).status_code == 303
    assert "<b>team</b>" not in admin.get(PAGE).text


def test_route_takes_what_the_form_says(visitor: Visitor, world: World, receiver: HttpReceiver) -> None:
    admin = visitor(Role.ADMIN)
    create(admin, receiver, everything="")
    page = admin.get(PAGE).text
    fields = {
        "destination": id_of(page, "team"),
        "min_severity": "error",
        "verdict_confirmed": "1",
        "verdict_unconfirmed": "1",
        "env_prod": "1",
        "fingerprint": "*|/cart|prod",
        "begins": "22:00",
        "ends": "07:00",
        "zone": "Europe/Berlin",
    }
    assert admin.post(f"{PAGE}/create-route", data=fields).status_code == 303
    routes = admin.get(PAGE).text.partition('id="routes"')[2]
    assert "confirmed, unconfirmed from error on" in routes
    assert "*|/cart|prod" in routes
    assert "quiet 22:00 to 07:00, Europe/Berlin" in routes
    refused = admin.post(f"{PAGE}/create-route", data=fields | {"zone": "Mars/Base"})
    assert refused.status_code == 422
    assert "write a time zone like Europe/Berlin" in refused.text


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"kind": "webhook", "url": "ftp://x"}, "Address: write an address like https://example.com/hook."),
        ({"kind": "webhook", "url": "http://10.0.0.1/"}, "address is private, local or reserved"),
        ({"kind": "slack", "channel": "C1", "token": ""}, "Bot token: fill it in."),
        (
            {"kind": "slack", "channel": "a channel!", "token": "t"},
            "Channel’s id: write it like C0123456789.",
        ),
        ({"kind": "email", "to": "nobody", "sender": "a@b.example", "host": "h"}, "To: write a mail address"),
        (
            {"kind": "email", "to": "a@b.example", "sender": "a@b.example", "host": "h", "username": "u"},
            "Give username and password together, or neither.",
        ),
        ({"kind": "email", "port": "many", "host": "h"}, "To: fill it in."),
        ({"kind": "magic"}, "Choose a kind of destination."),
        ({"kind": "webhook", "url": "http://127.0.0.1:9/", "name": ""}, "Name: fill it in."),
        (
            {"kind": "webhook", "url": "http://127.0.0.1:9/", "name": "n" * 65},
            "Name: write at most 64 characters.",
        ),
    ],
)
def test_wrong_destination_is_refused_in_plain_words_beside_its_form(
    visitor: Visitor, world: World, fields: dict[str, str], said: str
) -> None:
    answer = visitor(Role.ADMIN).post(f"{PAGE}/create-destination", data={"name": "team"} | fields)
    assert answer.status_code == 422
    assert said in answer.text


def test_refused_forms_keep_their_typed_text(visitor: Visitor, world: World) -> None:
    admin = visitor(Role.ADMIN)
    mail = {"kind": "email", "name": "on call", "to": "nobody", "host": "smtp.shop.example", "port": "2525"}
    page = admin.post(f"{PAGE}/create-destination", data=mail | {"security": "tls", "password": "p4711"}).text
    opened = page.partition('<details class="fold" open>')[2].partition("</details>")[0]
    for text in ("on call", "nobody", "smtp.shop.example", "2525"):
        assert f'value="{text}"' in opened
    assert "<option selected>tls</option>" in opened
    assert 'name="everything" value="1">' in opened
    assert "p4711" not in page
    route = {"destination": "x", "min_severity": "critical", "env_dev": "1", "fingerprint": "*|/a|*"}
    page = admin.post(f"{PAGE}/create-route", data=route | {"begins": "25:00", "ends": "07:00"}).text
    assert "Destination: choose one of the list." in page
    opened = page.partition('<details class="fold" open>')[2].partition("</details>")[0]
    assert "<option selected>critical</option>" in opened
    assert re.findall(r'name="env_(\w+)" value="1" checked', opened) == ["dev"]
    for text in ("*|/a|*", "25:00", "07:00"):
        assert f'value="{text}"' in opened


def test_sent_secret_is_not_repeated(visitor: Visitor, world: World) -> None:
    given = {"kind": "slack", "name": "team", "channel": "not a channel!", "token": "xoxb-secret-4711"}
    answer = visitor(Role.ADMIN).post(f"{PAGE}/create-destination", data=given)
    assert answer.status_code == 422
    assert "secret-4711" not in answer.text


def test_destination_of_another_project_stays_untouched(visitor: Visitor, pool: Pool, world: World) -> None:
    named = {"destination": id_of(visitor(Role.ADMIN).get(PAGE).text, "ops")}
    theirs = visitor(Role.ADMIN, org_id="org_2")
    for name in ("test-destination", "switch-destination", "delete-destination"):
        answer = theirs.post(f"/console/p/proj_2/notifications/{name}", data=named)
        assert answer.status_code == 404
    with pool.connection() as connection:
        assert connection.execute("SELECT state FROM pipeline.destinations").fetchall() == [("active",)]
