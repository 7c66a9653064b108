"""The table of scopes: secret keys stay out of pages, public ones can neither read nor pretend."""

import pytest

from signals.domain.access.scopes import (
    FORMS,
    OPTIONAL_RIGHTS,
    RIGHT_TO_SEND,
    RIGHTS,
    Right,
    Scope,
    scopes_with,
)


def test_every_scope_has_rights_and_a_form() -> None:
    assert set(RIGHTS) == set(FORMS) == set(Scope)


def test_every_right_belongs_to_a_scope() -> None:
    assert frozenset().union(*RIGHTS.values()) == set(Right)


def test_public_key_has_no_right_of_a_secret_one_but_the_doors() -> None:
    shared = RIGHTS[Scope.PUBLIC] & (RIGHTS[Scope.INGEST] | RIGHTS[Scope.READ])
    assert shared == {Right.SEND_BY_CLIENTS}
    assert OPTIONAL_RIGHTS[Scope.PUBLIC] == set(RIGHT_TO_SEND.values())


@pytest.mark.parametrize(
    ("right", "named"),
    [
        (Right.SEND_EVENTS, "ingest"),
        (Right.READ, "read or admin"),
        (Right.SEND_BY_CLIENTS, "ingest or public"),
    ],
)
def test_scopes_of_a_right_are_named(right: Right, named: str) -> None:
    assert scopes_with(right) == named
