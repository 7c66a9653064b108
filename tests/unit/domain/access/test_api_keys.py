"""A key of every scope is written, read back and redacted."""

import pytest

from signals.domain.access.api_keys import SECRET_BYTES, Scope, key_text, scope_of
from signals.domain.events.secrets import RULES


@pytest.mark.parametrize("scope", Scope)
def test_key_text_names_its_scope(scope: Scope) -> None:
    assert scope_of(key_text(scope, b"\x01" * SECRET_BYTES)) is scope


@pytest.mark.parametrize("scope", Scope)
def test_key_of_a_scope_counts_as_a_token(scope: Scope) -> None:
    key = key_text(scope, b"\x01" * SECRET_BYTES)
    assert any(kind == "token" and pattern.search(f"key {key}.") for kind, pattern, _ in RULES)
