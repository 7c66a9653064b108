"""Codes and routes of foreign faults vary with the fault and not with its values."""

import pytest

from signals.domain.events.grouping import path_in, path_of, templated, varying_masked
from signals.domain.events.masking import label, masked, masked_members


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/checkout/48213", "/checkout/{id}"),
        ("/checkout/48213?coupon=X#top", "/checkout/{id}"),
        ("/u/7f8d2c1e-0b1a-4c3d-9e8f-001122334455/edit", "/u/{id}/edit"),
        ("/f/0123456789abcdef", "/f/{id}"),
        ("/t/dGhpcyBpcyBhIHRva2VuMTIz", "/t/{id}"),
        ("/users/jane@example.org", "/users/{id}"),
        ("/checkout/:id", "/checkout/{id}"),
        ("/checkout/<int:order_id>", "/checkout/{id}"),
        ("/checkout/{order}", "/checkout/{id}"),
        ("/checkout/[slug]", "/checkout/{id}"),
        ("/api/v2/orders", "/api/v2/orders"),
        ("/blog/how-we-built-our-new-checkout-page", "/blog/how-we-built-our-new-checkout-page"),
        ("/", "/"),
    ],
)
def test_varying_segments_become_id(path: str, route: str) -> None:
    assert templated(path) == route


def test_declared_route_keeps_its_fixed_segments() -> None:
    assert templated("/reports/2024/:id", is_declared=True) == "/reports/2024/{id}"


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://shop.example/a/b?c=1", "/a/b"),
        ("https://shop.example", "/"),
        ("//shop.example/a", "/a"),
        ("/a?b", "/a"),
        ("http://[::1", "/"),
        ("app:home", None),
    ],
)
def test_path_of_url(url: str, path: str | None) -> None:
    assert path_of(url) == path


def test_transaction_with_method_gives_both() -> None:
    assert path_in("POST /checkout/1") == ("POST", "/checkout/1")
    assert path_in("nightly_import") is None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("order 48213 failed after 2.5 s", "order # failed after #.# s"),
        ("no such key 'abc' in \"cart 1\"", "no such key # in #"),
        ("can't load user 7f8d2c1e-0b1a-4c3d-9e8f-001122334455", "can't load user #"),
    ],
)
def test_values_of_a_text_become_a_mark(text: str, code: str) -> None:
    assert varying_masked(text) == code


def test_long_labels_stay_two() -> None:
    first, second = label("a" * 200 + "b", 128), label("a" * 200 + "c", 128)
    assert first is not None
    assert second is not None
    assert (len(first), len(second)) == (128, 128)
    assert first != second
    assert first[-9] == "~"


def test_masks_hide_cards_mail_and_tokens() -> None:
    text = "card 4111 1111 1111 1111 of jane@example.org, password=hunter2, Bearer abcdefghijklmnop"
    kept = masked(text)
    assert not [word for word in ("4111", "jane", "hunter2", "abcdefgh") if word in kept]


def test_kept_members_are_masked_few_and_shallow() -> None:
    members = {
        "plan": "pro",
        "card": 4111111111111111,
        "password": "x",
        "deep": {"a": {"b": {"c": 1}}},
        "bad..name": 1,
        "none": None,
        **{f"m{n}": n for n in range(100)},
    }
    kept = masked_members(members)
    assert len(kept) == 32
    assert kept["plan"] == "pro"
    assert kept["card"] == "[card]"
    assert kept["password"] == "[secret]"
    assert kept["deep"] == {"a": {}}
    assert "bad..name" not in kept
