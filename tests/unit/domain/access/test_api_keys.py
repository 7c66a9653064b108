"""A key of every scope is written, read back and redacted."""

import re

import pytest

from signals.domain.access.api_keys import SECRET_BYTES, key_hint, key_text, scope_of
from signals.domain.access.scopes import Scope
from signals.domain.events.secrets import RULES


@pytest.mark.parametrize("scope", Scope)
def test_key_text_names_its_scope(scope: Scope) -> None:
    assert scope_of(key_text(scope, b"\x01" * SECRET_BYTES)) is scope


@pytest.mark.parametrize("scope", Scope)
def test_key_of_a_scope_counts_as_a_token(scope: Scope) -> None:
    key = key_text(scope, b"\x01" * SECRET_BYTES)
    assert any(rule.kind == "token" and rule.pattern.search(f"key {key}.") for rule in RULES)


def test_public_key_fits_a_dsn_of_javascript() -> None:
    assert re.fullmatch(r"\w+", key_text(Scope.PUBLIC, b"\xfb" * SECRET_BYTES), re.ASCII)


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("sig_ingest_" + "aB3x" + "z" * 39, "sig_ingest_aB3x…"),
        ("0123456789abcdef", "0123…"),
        ("ab\n\x1b[31m", "ab??…"),
        ("", "…"),
    ],
)
def test_hint_shows_the_beginning_of_an_unknown_key(key: str, hint: str) -> None:
    assert key_hint(key) == hint
