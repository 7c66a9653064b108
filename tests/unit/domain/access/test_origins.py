"""Origins of pages against the list of a public key."""

import pytest

from signals.domain.access.origins import is_allowed, origin_pattern

SHOP = "https://shop.example"


@pytest.mark.parametrize(
    ("origin", "patterns", "allowed"),
    [
        (SHOP, [], True),
        (SHOP, [SHOP], True),
        ("HTTPS://Shop.Example", [SHOP], True),
        ("http://shop.example", [SHOP], False),
        ("https://shop.example:8443", [SHOP], False),
        ("https://shop.example.evil", [SHOP], False),
        ("https://evilshop.example", ["https://*.shop.example"], False),
        ("https://eu.www.shop.example", ["https://*.shop.example"], True),
        (SHOP, ["https://*.shop.example"], False),
        ("http://www.shop.example", ["https://*.shop.example"], False),
        ("http://www.shop.example", ["*.shop.example"], True),
        ("http://evil.example/.shop.example", ["*.shop.example"], False),
        ("http://shop.example", ["shop.example"], True),
        ("http://localhost:3000", ["localhost:3000"], True),
        ("null", [SHOP], False),
        ("null", ["null"], True),
        ("", [SHOP], False),
        ("https://[::1]:3000", ["https://[::1]:3000"], True),
    ],
)
def test_origin_is_compared_with_the_list(origin: str, patterns: list[str], allowed: bool) -> None:
    assert is_allowed(origin, patterns) is allowed


@pytest.mark.parametrize(
    "text", ["https://Shop.example/", "*.shop.example", "null", "localhost:3000", "http://[::1]"]
)
def test_origin_is_stored_in_one_form(text: str) -> None:
    assert origin_pattern(text) == text.lower().rstrip("/")


@pytest.mark.parametrize(
    "text", ["", "*", "https://", "https://shop.example/path", "a b", "https://*.", "h://x:123456"]
)
def test_text_that_is_no_origin_is_refused(text: str) -> None:
    assert origin_pattern(text) is None
