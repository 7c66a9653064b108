"""The account's page: tokens are shown once and are their owner's, and hostile names stay text."""

import re
from typing import Final

from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection
from signals.domain.access.people import Role
from signals.services.access.authentication import KeyAuthenticator, KeyRefused, PersonGranted
from tests.integration.console.conftest import Visitor
from tests.integration.core.conftest import OTHER
from tests.support.console_world import SHOP

Pool = ConnectionPool[Connection]
ACCOUNT: Final = "/console/account"
HOSTILE: Final = "<script>alert(1)</script>"


def create(name: str = "script", project: str = SHOP.project_id, days: str = "30") -> dict[str, str]:
    return {"name": name, "project": project, "days": days}


def test_token_is_shown_once_and_ends_when_it_is_revoked(visitor: Visitor, pool: Pool) -> None:
    person = visitor(Role.RESPONDER)
    page = person.post(f"{ACCOUNT}/create-token", data=create(), follow_redirects=True).text
    found = re.search(r"sig_user_[\w-]{43}", page)
    assert found
    assert isinstance(KeyAuthenticator(pool).check(found[0]), PersonGranted)
    again = person.get(ACCOUNT).text
    assert found[0] not in again
    token_id = re.search(r'name="token" value="([^"]+)"', again)
    assert token_id
    other = visitor(Role.ADMIN)
    assert other.post(f"{ACCOUNT}/revoke-token", data={"token": token_id[1]}).status_code == 404
    assert person.post(f"{ACCOUNT}/revoke-token", data={"token": "none"}).status_code == 404
    assert person.post(f"{ACCOUNT}/revoke-token", data={"token": token_id[1]}).status_code == 303
    assert KeyAuthenticator(pool).check(found[0]) == KeyRefused("unknown")


def test_token_for_a_project_of_others_is_refused(visitor: Visitor) -> None:
    page = visitor(Role.ADMIN).post(f"{ACCOUNT}/create-token", data=create(project=OTHER.project_id))
    assert page.status_code == 422
    assert "There is no project" in page.text
    assert "sig_user_" not in page.text


def test_hostile_name_stays_text(visitor: Visitor) -> None:
    person = visitor(Role.VIEWER)
    created = person.post(f"{ACCOUNT}/create-token", data=create(HOSTILE), follow_redirects=True)
    for answer in (created, person.get(ACCOUNT)):
        assert answer.status_code == 200
        assert "&lt;script&gt;" in answer.text
        assert HOSTILE not in answer.text


def test_days_that_are_none_are_refused(visitor: Visitor) -> None:
    person = visitor(Role.VIEWER)
    for days in ("", "-1", "x", "0", "366", "99999"):
        assert person.post(f"{ACCOUNT}/create-token", data=create(days=days)).status_code == 422, days


def test_signing_out_everywhere_ends_every_session(visitor: Visitor) -> None:
    here, there = visitor(Role.VIEWER), visitor(Role.VIEWER)
    assert here.post(f"{ACCOUNT}/end-all-sessions", data={"all": "yes"}).status_code == 303
    for client in (here, there):
        assert client.get(ACCOUNT).headers["location"].startswith("/console/sign-in")
