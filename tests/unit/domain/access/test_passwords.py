"""Which passwords are accepted, and which attempts are counted together."""

from uuid import UUID

import pytest

from signals.domain.access.passwords import (
    MAX_PASSWORD,
    MIN_PASSWORD,
    account_bucket,
    address_bucket,
    browser_bucket,
    normal_password,
    password_fault,
    session_bucket,
)

ANN = {"email": "ann.lee@example.com", "name": "Ann Lee of Accounts"}


@pytest.mark.parametrize(
    "password", ["correct horse battery", "ünïcödé-wörter", "a1b2c" * 3, "日本語のとても長いパスワード"]
)
def test_long_password_is_accepted(password: str) -> None:
    assert password_fault(normal_password(password), **ANN) is None


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("", f"{MIN_PASSWORD} to"),
        ("a b c d e f", f"{MIN_PASSWORD} to"),
        ("x1y2z" * 50, f"to {MAX_PASSWORD}"),
        ("121212121212", "different"),
        ("AaAaAaAaAaAaA", "different"),
        ("horse\tbattery staple", "control"),
        ("horse\x00battery staple", "control"),
        ("Ann.Lee@Example.com", "address"),
        ("ann lee of accounts", "name"),
    ],
)
def test_weak_password_is_refused_with_the_reason(password: str, why: str) -> None:
    assert why in (password_fault(password, **ANN) or "")


def test_password_is_the_same_from_every_keyboard() -> None:
    composed, of_two = "\N{LATIN SMALL LETTER E WITH ACUTE}", "e\N{COMBINING ACUTE ACCENT}"
    assert normal_password(f" {of_two} la vida entera ") == normal_password(f"{composed} la vida entera")


def test_attempts_from_one_network_share_a_bucket() -> None:
    assert address_bucket("2001:db8::1") == address_bucket("2001:db8::ffff:1")
    assert address_bucket("2001:db8::1") != address_bucket("2001:db8:0:1::1")
    assert address_bucket("::ffff:192.0.2.1") == address_bucket("192.0.2.1")
    assert address_bucket("192.0.2.1") != address_bucket("192.0.2.2")
    assert address_bucket("unknown") == "sign-in:unknown"


def test_bucket_of_an_account_hides_the_address() -> None:
    assert account_bucket("Ann@Example.com") == account_bucket("ann@example.com")
    assert "ann" not in account_bucket("ann@example.com")


def test_every_bucket_can_be_removed_by_its_name() -> None:
    names = [
        account_bucket("a"),
        address_bucket("1.2.3.4"),
        browser_bucket("f" * 64),
        session_bucket(UUID(int=1)),
    ]
    assert all(name.startswith("sign-in:") for name in names)
    assert len(set(names)) == len(names)
