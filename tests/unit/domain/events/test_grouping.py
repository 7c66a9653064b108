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


@pytest.mark.parametrize(
    "text",
    [
        "Http404NotFoundExceptionForV2ProductController",
        "OAuth2TokenExchangeError401ForV2Client",
        "TokenExpiredError: jwt expired",
        "CredentialsProviderError: Could not load credentials",
        "at verify (token-service.js:10:5), authorization.go:77",
        "connect secretsmanager.amazonaws.com:443 refused",
        "SyntaxError: Unexpected token: 'o'",
        "tokenization=fast, secretary: bob",
    ],
)
def test_names_of_classes_files_and_hosts_are_no_secrets(text: str) -> None:
    assert masked(text) == text


@pytest.mark.parametrize("text", ["auth-token:12345", "db.password: x1", "my-api-key:12345", "token=abc"])
def test_value_behind_a_secret_name_is_hidden(text: str) -> None:
    assert masked(text).endswith("[secret]")


@pytest.mark.parametrize(
    ("head", "digits"), [("import ", 14), ("order 4", 15), ("call +49151", 8), ("job 5", 13), ("to 6", 17)]
)
def test_number_that_passes_a_check_by_chance_makes_no_second_code(head: str, digits: int) -> None:
    codes = {varying_masked(f"{head}{number:0{digits}} failed") for number in range(4_000_000, 4_000_300)}
    assert len(codes) == 1


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
