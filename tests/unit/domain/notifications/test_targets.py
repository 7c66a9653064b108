"""Targets are checked field by field; their secrets show nowhere."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from signals.domain.notifications.delivery import retry_delay
from signals.domain.notifications.targets import hint, host_of, parse_target, split

KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
WEBHOOK = {"kind": "webhook", "url": "https://hooks.example/T0/secret-token", "signing_keys": [KEY]}
EMAIL = {"kind": "email", "to": ["a@b.example"], "sender": "c@d.example", "host": "smtp.example"}


URLS = [
    "ftp://a.example",
    "https://",
    "//a.example",
    "https://u:p@a.example",
    "http://a b",
    "http://a.example:0",
    "http://a\u0301.example",
    "https://a.example/\r\nX: y",
]


@pytest.mark.parametrize("url", URLS)
def test_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="url"):
        parse_target({**WEBHOOK, "url": url})


@pytest.mark.parametrize("key", ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_c2hvcnQ=", "whsec_§"])
def test_weak_signing_key_is_refused(key: str) -> None:
    with pytest.raises(ValidationError, match="signing_keys"):
        parse_target({**WEBHOOK, "signing_keys": [key]})


@pytest.mark.parametrize(
    "fields",
    [
        {"username": "me"},
        {"password": "secret"},
        {"username": "me", "password": "secret", "security": "none"},
        {"to": ["a@b.example\nBcc: x@y.example"]},
        {"to": []},
        {"host": "a b"},
        {"sender": "Somebody <a@b.example>"},
    ],
)
def test_inconsistent_mail_target_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        parse_target({**EMAIL, **fields})


def test_secrets_are_split_off_and_hidden() -> None:
    target = parse_target(WEBHOOK)
    settings, secret = split(target)
    assert settings == {"kind": "webhook"}
    assert secret == {"url": WEBHOOK["url"], "signing_keys": [KEY]}
    assert parse_target({**settings, **secret}) == target
    assert "secret-token" not in repr(target) + target.model_dump_json()
    assert hint(target) == "hooks.example …oken"
    assert host_of(target) == ("hooks.example", 443)


@pytest.mark.parametrize(
    "url",
    ["syslog://", "file:///etc/passwd", "dbus://", "mailto://u:p@a.example", "slack://T/A/B", "smpp://u@h/1",
     "ntfy", "ntfy://", "json://a b", "json://a\n", "json://[::1", "json://\u00e4.example"],
)  # fmt: skip
def test_service_that_is_not_offered_is_refused_without_quoting_the_address(url: str) -> None:
    with pytest.raises(ValidationError, match="url") as refused:
        parse_target({"kind": "apprise", "url": url})
    errors = refused.value.errors(include_url=False, include_input=False, include_context=False)
    assert "passwd" not in str(errors)


@pytest.mark.parametrize(
    ("url", "server", "shown"),
    [
        ("tgram://123456789:abcdefg_hijklmnop/12345/", None, "tgram …345/"),
        ("ntfy://my-topic-of-secrets", None, "ntfy …rets"),
        ("ntfys://ntfy.example/topic-of-secrets", ("ntfy.example", 443), "ntfys ntfy.example …rets"),
        ("JSON://[::1]:8080/a-long-path", ("::1", 8080), "json ::1 …path"),
        ("gotify://10.0.0.1/token-of-an-app", ("10.0.0.1", 80), "gotify 10.0.0.1 …-app"),
    ],
)
def test_apprise_address_names_a_server_of_its_own_or_none(
    url: str, server: tuple[str, int] | None, shown: str
) -> None:
    target = parse_target({"kind": "apprise", "url": url})
    assert (host_of(target), hint(target)) == (server, shown)
    assert split(target) == ({"kind": "apprise"}, {"url": url})


def test_wait_grows_to_its_cap_and_obeys_retry_after() -> None:
    assert [retry_delay(n, None, 0).total_seconds() for n in (1, 2, 3, 20)] == [0.5, 1, 2, 300]
    assert retry_delay(1, None, 0.9).total_seconds() == pytest.approx(0.05)
    assert retry_delay(1, timedelta(seconds=30), 0).total_seconds() == 30
    assert retry_delay(1, timedelta(days=9), 0).total_seconds() == 3600
