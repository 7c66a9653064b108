"""Settings: members who are signed in or invited, projects, and the pages of changes."""

import re

from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection
from signals.domain.access.people import Role
from signals.services.access.people import add_person, issue_link
from tests.integration.console.conftest import BASE, SAME_ORIGIN, Visitor
from tests.integration.core.conftest import OTHER
from tests.support.console_world import SHOP, World

Pool = ConnectionPool[Connection]


def row_of(page: str, email: str) -> str:
    """Return the line of a member."""
    rows = page[page.index('id="people"') :].split("<li")
    return next(one for one in rows if email in one)


def test_admin_signs_a_member_out_everywhere(visitor: Visitor, world: World) -> None:
    admin, other = visitor(Role.ADMIN), visitor(Role.VIEWER)
    email = f"viewer@{SHOP.org_id}.example"
    assert "signed in at 1 browser" in row_of(admin.get(f"{BASE}/settings").text, email)
    answer = admin.post(f"{BASE}/settings/sign-out-member", data={"email": email})
    assert answer.status_code == 303
    assert other.get(f"{BASE}/").headers["location"].startswith("/console/sign-in")
    page = admin.get(f"{BASE}/settings").text
    assert "signed in at" not in row_of(page, email)
    assert "<b>admin</b> signed out" in page


def test_invitation_is_shown_until_used_and_can_be_withdrawn(
    visitor: Visitor, pool: Pool, world: World
) -> None:
    admin = visitor(Role.ADMIN)
    email = "new@shop.example"
    made = admin.post(
        f"{BASE}/settings/add-member", data={"email": email, "role": "viewer"}, follow_redirects=True
    ).text
    link = re.search(r"/console/sign-in#([\w-]+)", made)
    assert link is not None
    assert "invited: a link is unused" in row_of(admin.get(f"{BASE}/settings").text, email)
    admin.post(f"{BASE}/settings/sign-out-member", data={"email": email})
    assert "invited" not in row_of(admin.get(f"{BASE}/settings").text, email)
    refused = admin.post("/console/sign-in", data={"link": link[1]}, headers=SAME_ORIGIN)
    assert refused.status_code != 303


def test_member_of_two_organisations_is_not_signed_out(visitor: Visitor, pool: Pool, world: World) -> None:
    email = "both@shop.example"
    for org_id in (SHOP.org_id, OTHER.org_id):
        add_person(pool, email, org_id=org_id, role=Role.VIEWER, actor="cli:test")
    issue_link(pool, email)
    answer = visitor(Role.ADMIN).post(f"{BASE}/settings/sign-out-member", data={"email": email})
    assert (answer.status_code, "no member of this organisation alone" in answer.text) == (422, True)
    with pool.connection() as connection:
        links = connection.execute(
            "SELECT count(*) FROM people.sign_in_links l JOIN people.users u ON u.id = l.user_id"
            " WHERE u.email = %s",
            [email],
        ).fetchone()
    assert links == (1,)


def test_viewer_sees_nobodys_sessions(visitor: Visitor, world: World) -> None:
    visitor(Role.ADMIN)
    page = visitor(Role.VIEWER).get(f"{BASE}/settings").text
    assert "signed in at" not in page


def test_admin_creates_a_project_and_the_change_names_them(visitor: Visitor, world: World) -> None:
    admin = visitor(Role.ADMIN)
    answer = admin.post(f"{BASE}/settings/create-project", data={"project": "pay", "name": "Payments"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/p/pay/")
    assert "Payments" in admin.get("/console/p/pay/settings").text
    assert "<b>admin</b> project created" in admin.get(f"{BASE}/settings").text
    for data in ({"project": "pay"}, {"project": "No Good"}, {"project": OTHER.project_id}, {"project": ""}):
        refused = admin.post(f"{BASE}/settings/create-project", data=data)
        assert (refused.status_code, 'role="alert"' in refused.text) == (422, True), data


def test_project_is_renamed_with_both_names_on_record(visitor: Visitor, world: World) -> None:
    admin = visitor(Role.ADMIN)
    answer = admin.post(f"{BASE}/settings/rename-project", data={"name": "Shop <b>2</b>"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"{BASE}/settings#projects")
    page = admin.get(f"{BASE}/settings").text
    assert "Project Shop &lt;b&gt;2&lt;/b&gt; of" in page
    assert "</span>: name from Demo shop to Shop &lt;b&gt;2&lt;/b&gt;<" in page
    for name in ("", "n" * 101, "a\u202eb"):
        assert admin.post(f"{BASE}/settings/rename-project", data={"name": name}).status_code == 422
    assert visitor(Role.VIEWER).post(f"{BASE}/settings/rename-project", data={"name": "x"}).status_code == 403


def test_changes_are_paged(visitor: Visitor, world: World) -> None:
    admin = visitor(Role.ADMIN)
    for n in range(32):
        admin.post(f"{BASE}/settings/create-project", data={"project": f"p{n}"})
    page = admin.get(f"{BASE}/settings").text
    older = re.search(r'href="(\?before=\d+)#audit"', page)
    assert older is not None
    assert "project p31<" in page
    assert "project p0<" not in page
    page = admin.get(f"{BASE}/settings{older[1]}").text
    assert "project p0<" in page
    assert admin.get(f"{BASE}/settings?before=x").status_code == 400


def test_form_of_an_ended_session_gives_the_text_back(visitor: Visitor, world: World) -> None:
    person = visitor(Role.RESPONDER)
    person.cookies.clear()
    text = "rolled back <the> release\nand waited"
    answer = person.post(f"{BASE}/outages/{world.outage_id}/note", data={"text": text, "next": "/console/"})
    assert answer.status_code == 401
    assert "rolled back &lt;the&gt; release\nand waited</textarea>" in answer.text
