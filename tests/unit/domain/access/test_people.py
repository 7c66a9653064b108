"""Roles, addresses and tokens of people."""

import pytest

from signals.domain.access.people import (
    PERSON_RIGHTS,
    TOKEN_BYTES,
    PersonRight,
    Role,
    is_email,
    token_in,
    token_text,
)

TABLE: dict[Role, set[PersonRight]] = {
    Role.VIEWER: {"read"},
    Role.RESPONDER: {"read", "respond"},
    Role.ADMIN: {"read", "respond", "administer"},
}


@pytest.mark.parametrize("role", Role)
def test_role_has_its_rights(role: Role) -> None:
    assert {right for right in PERSON_RIGHTS if role.may(right)} == TABLE[role]


@pytest.mark.parametrize("address", ["ann@example.com", "a.b+c@x.y", "root@localhost"])
def test_address_is_accepted(address: str) -> None:
    assert is_email(address)


@pytest.mark.parametrize(
    "address",
    ["", "ann", "@x", "a@b@c", "a b@c", "<a@b>", "a@b\n", "ä@b", "a@" + "b" * 300, "a@b,c@d", "a\x00b@c"],
)
def test_text_that_is_no_address_is_refused(address: str) -> None:
    assert not is_email(address)


def test_token_is_found_in_a_link() -> None:
    token = token_text(b"\xff" * TOKEN_BYTES)
    assert token_in(token) == token
    assert token_in(f" https://signals.example/console/sign-in#{token}\n") == token
    for odd in ("", token[:-1], token + "A", f"#{token}#", token[:-1] + "é", token[:-1] + "="):
        assert token_in(odd) is None
