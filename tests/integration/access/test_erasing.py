"""Erasure leaves no byte of what names a person."""

from collections.abc import Iterator
from typing import Final

import pytest
from psycopg import sql
from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection
from signals.domain.access.people import Role
from signals.services.access.passwords import PasswordAttempt, Passwords
from signals.services.access.people import add_person, erase_person, issue_link, remove_person
from signals.services.access.person_tokens import PersonTokens
from signals.services.access.provisioning import ProvisioningRefused
from signals.services.access.signing_in import SignInRefused
from signals.services.incidents.outage_work import OutageWork
from tests.integration.core.conftest import OTHER
from tests.support.console_world import SHOP, build_world

Pool = ConnectionPool[Connection]
EMAIL: Final = "ann.unique4711@example.com"
NAME: Final = "Ann Unique4711"
RIGHT: Final = "correct horse battery"


def everything(pool: Pool) -> Iterator[str]:
    """Yield each row of every table as text."""
    with pool.connection() as connection:
        tables = connection.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('public', 'people', 'pipeline')"
        ).fetchall()
        for schema, name in tables:
            query = sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(schema, name))
            for (row,) in connection.execute(query):
                yield f"{name}: {row}"


def attempt(email: str = EMAIL) -> PasswordAttempt:
    return PasswordAttempt(email=email, password=RIGHT, address="192.0.2.1", browser="Firefox")


def test_nothing_that_names_the_person_is_left(pool: Pool) -> None:
    world = build_world(pool)
    user_id = add_person(pool, EMAIL, org_id=SHOP.org_id, role=Role.ADMIN, name=NAME, actor="cli:test")
    add_person(pool, "boss@example.com", org_id=SHOP.org_id, role=Role.ADMIN, actor="cli:test")
    passwords = Passwords(pool)
    passwords.set_for(EMAIL, RIGHT, actor="cli:test")
    assert not isinstance(passwords.sign_in(attempt()), SignInRefused)
    issue_link(pool, EMAIL)
    PersonTokens(pool).issue(user_id, SHOP.project_id, name="script", days=1, actor=f"user:{user_id}")
    for assignee in (EMAIL, NAME):
        OutageWork(pool).assign(SHOP, world.outage_id, assignee, actor=f"user:{user_id}")
    with pool.connection() as connection:
        connection.execute(
            "INSERT INTO people.identities (issuer, subject, user_id) VALUES ('https://id.example', %s, %s)",
            [EMAIL, user_id],
        )
        connection.execute(
            """INSERT INTO people.views (id, user_id, project_id, page, name, query)
               VALUES (gen_random_uuid(), %s, %s, 'search', %s, '')""",
            [user_id, SHOP.project_id, NAME],
        )
    assert any("unique4711" in row.lower() for row in everything(pool))
    assert erase_person(pool, EMAIL, actor="cli:test") == 2
    assert [row for row in everything(pool) if "unique4711" in row.lower()] == []
    assert any(f"user:{user_id}" in row for row in everything(pool))  # what they did is still theirs
    assert passwords.sign_in(attempt()) == SignInRefused("wrong")
    with pool.connection() as connection:
        (verb,) = connection.execute("SELECT verb FROM people.audit ORDER BY id DESC").fetchone() or ("",)
    assert verb == "person erased"


def test_namesake_keeps_assignments(pool: Pool) -> None:
    world = build_world(pool)
    for email in (EMAIL, "other@example.com"):
        add_person(pool, email, org_id=SHOP.org_id, role=Role.RESPONDER, name=NAME, actor="cli:test")
    OutageWork(pool).assign(SHOP, world.outage_id, NAME, actor="cli:test")
    assert erase_person(pool, EMAIL, actor="cli:test") == 0


def test_removed_person_can_be_erased_and_the_address_comes_anew(pool: Pool) -> None:
    build_world(pool)
    first = add_person(pool, EMAIL, org_id=SHOP.org_id, role=Role.VIEWER, actor="cli:test")
    remove_person(pool, EMAIL, actor="cli:test")
    erase_person(pool, EMAIL, actor="cli:test")
    with pytest.raises(ProvisioningRefused, match="there is no person"):
        erase_person(pool, EMAIL, actor="cli:test")
    assert add_person(pool, EMAIL, org_id=SHOP.org_id, role=Role.VIEWER, actor="cli:test") != first


def test_last_admin_and_members_of_others_are_not_erased(pool: Pool) -> None:
    build_world(pool)
    add_person(pool, EMAIL, org_id=SHOP.org_id, role=Role.ADMIN, actor="cli:test")
    with pytest.raises(ProvisioningRefused, match="needs an admin"):
        erase_person(pool, EMAIL, actor="cli:test")
    with pytest.raises(ProvisioningRefused, match="of this organisation alone"):
        erase_person(pool, EMAIL, org_id=OTHER.org_id, actor="user:1")
