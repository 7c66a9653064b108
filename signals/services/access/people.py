"""Adds and removes people, and makes the links with which they sign in."""

import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Final
from uuid import UUID, uuid4

from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection, transaction
from signals.domain.access.people import (
    LINK_LASTS,
    MAX_EMAIL,
    MAX_NAME,
    TOKEN_BYTES,
    Role,
    is_email,
    token_hash,
    token_text,
)
from signals.services.access.provisioning import ProvisioningRefused
from signals.store.access import audit, erasure, people, sessions

LINK_PATH: Final = "/console/sign-in#"


def add_person(
    pool: ConnectionPool[Connection],
    email: str,
    *,
    org_id: str,
    role: Role,
    name: str | None = None,
    actor: str,
    only_here: bool = False,
) -> UUID:
    """Make a person a member of an organisation, or change the role of one; return their id.

    A person who comes from another organisation is signed out everywhere: admins there could make links for
    them, and would come along. With `only_here` such a person is refused.

    Raises:
        ProvisioningRefused: for an address or name that cannot be one, for no such organisation, and when the
            organisation would lose its last admin.
        DependencyUnavailable: when PostgreSQL does not answer.
    """
    if not is_email(email):
        raise ProvisioningRefused(
            f"write an address like ann@example.com of at most {MAX_EMAIL} plain characters"
        )
    if name is not None and not (name.isprintable() and 0 < len(name.strip()) <= MAX_NAME):
        raise ProvisioningRefused(f"a name has 1 to {MAX_NAME} printable characters")
    with transaction(pool) as connection:
        known = people.find_user(connection, email)
        is_from_elsewhere = known is not None and people.is_member_elsewhere(connection, known, org_id)
        if is_from_elsewhere and only_here:
            raise ProvisioningRefused(
                f"{email} uses this installation already: its operator adds them by `signals users add`"
            )
        if known is not None and role is not Role.ADMIN:
            _keep_an_admin(connection, known, org_id)
        default_name = email.partition("@")[0][:MAX_NAME]
        user_id = people.upsert_user(
            connection, user_id=uuid4(), email=email, name=name, default_name=default_name
        )
        if not people.set_membership(connection, user_id=user_id, org_id=org_id, role=role):
            raise ProvisioningRefused(
                f"there is no organisation {org_id}: `signals orgs create {org_id}` first"
            )
        if is_from_elsewhere:
            sessions.end_all(connection, user_id)
        _note(connection, user_id, org_id, actor, "member added", {"role": role.value})
    return user_id


def remove_person(
    pool: ConnectionPool[Connection], email: str, *, org_id: str | None = None, actor: str
) -> list[str]:
    """End a person's membership of one organisation, or of all; return which were ended.

    Without any membership left the person is signed out everywhere, at once, and cannot sign in again.

    Raises:
        ProvisioningRefused: when there is no such person, or an organisation would lose its last admin.
        DependencyUnavailable: when PostgreSQL does not answer.
    """
    with transaction(pool) as connection:
        user_id = _known(connection, email)
        if org_id is not None:
            _keep_an_admin(connection, user_id, org_id)
        ended = people.remove_memberships(connection, user_id, org_id)
        for one in ended:
            audit.record(connection, org_id=one, actor=actor, verb="member removed", target=f"user:{user_id}")
        if people.disable_if_nowhere(connection, user_id):
            sessions.end_all(connection, user_id)
    return ended


def erase_person(
    pool: ConnectionPool[Connection], email: str, *, org_id: str | None = None, actor: str
) -> int:
    """Erase what names a person, in every organisation; return how many assignments named them.

    Their id stays in timelines and in the audit, and so do the words of comments. With `org_id` an admin
    there asks: only for members of no other one.

    Raises:
        ProvisioningRefused: when there is no such person, not in this organisation alone, or an organisation
            would lose its last admin.
        DependencyUnavailable: when PostgreSQL does not answer.
    """
    with transaction(pool) as connection:
        person = erasure.find(connection, email)
        if person is None:
            raise ProvisioningRefused(f"there is no person {email}: see `signals users list`")
        if org_id is not None and not people.is_only_member_of(connection, person.user_id, org_id):
            raise ProvisioningRefused(f"{email} is no member of this organisation alone")
        for one in people.orgs_of(connection, person.user_id):
            _keep_an_admin(connection, person.user_id, one)
        org_ids = erasure.orgs_ever(connection, person.user_id)
        found = erasure.erase_assignee(connection, person, org_ids)
        erasure.erase(connection, person.user_id)
        for one in org_ids:
            _note(connection, person.user_id, one, actor, "person erased", {})
    return found


def sign_out_member(pool: ConnectionPool[Connection], email: str, *, org_id: str, actor: str) -> int:
    """End every session and unused link of a member of no other organisation; return how many sessions.

    Raises:
        ProvisioningRefused: when there is no such person, or not in this organisation alone.
        DependencyUnavailable: when PostgreSQL does not answer.
    """
    with transaction(pool) as connection:
        user_id = _known(connection, email)
        if not people.is_only_member_of(connection, user_id, org_id):
            raise ProvisioningRefused(f"{email} is no member of this organisation alone")
        ended = sessions.end_all(connection, user_id)
        _note(connection, user_id, org_id, actor, "signed out", {})
    return ended


def issue_link(
    pool: ConnectionPool[Connection],
    email: str,
    *,
    lasts: timedelta = LINK_LASTS,
    org_id: str | None = None,
    actor: str | None = None,
) -> str:
    """Return the end of an address at which a person signs in once; the token stands behind `#`.

    A browser sends no fragment: the token enters no log, and no preview of the link uses it up. With `org_id`
    the link is for the admin of that organisation to hand on: only for members of no other one.

    Raises:
        ProvisioningRefused: when there is no such person, or not in this organisation alone.
        DependencyUnavailable: when PostgreSQL does not answer.
    """
    token = token_text(secrets.token_bytes(TOKEN_BYTES))
    with transaction(pool) as connection:
        user_id = _known(connection, email)
        if org_id is not None:
            if not people.is_only_member_of(connection, user_id, org_id):
                raise ProvisioningRefused(f"{email} is no member of this organisation alone")
            _note(connection, user_id, org_id, actor or "", "sign-in link made", {})
        sessions.insert_link(connection, token_hash=token_hash(token), user_id=user_id, lasts=lasts)
    return LINK_PATH + token


def _note(
    connection: Connection, user_id: UUID, org_id: str, actor: str, verb: str, detail: Mapping[str, object]
) -> None:
    target = f"user:{user_id}"
    audit.record(connection, org_id=org_id, actor=actor, verb=verb, target=target, detail=detail)


def _known(connection: Connection, email: str) -> UUID:
    user_id = people.find_user(connection, email)
    if user_id is None:
        raise ProvisioningRefused(f"there is no person {email}: see `signals users list`")
    return user_id


def _keep_an_admin(connection: Connection, user_id: UUID, org_id: str) -> None:
    """Refuse when the person is the only admin of the organisation."""
    if people.lock_admins(connection, org_id) == {user_id}:
        raise ProvisioningRefused(f"{org_id} needs an admin: make another member one first")
