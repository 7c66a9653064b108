"""Planted secrets never reach a model, in any position and after any cut."""

import base64
import json
import random
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from signals.domain.summary.answer import SummaryAnswer
from signals.domain.summary.builtin import answer_from
from signals.domain.summary.checking import check
from signals.domain.summary.exhibits import exhibits
from signals.domain.summary.prompt import MAX_PROMPT_BYTES, build_prompt
from signals.domain.summary.redaction import Redactor, redact
from tests.unit.domain.summary.briefs import SPIKE, deploy, event

# In front of an @, `://` makes credentials of it: the host after it is none.
AROUND = st.text(" ab1:/,", max_size=150).filter(lambda text: "://" not in text)
ALNUM = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def _card(prefix: str, length: int, chance: random.Random) -> str:
    body = prefix + "".join(chance.choices("0123456789", k=length - 1 - len(prefix)))
    total = sum(
        int(d) if n % 2 else sum(divmod(2 * int(d), 10)) for n, d in enumerate(reversed(body), start=0)
    )
    return body + str(-total % 10)


def _spaced(digits: str, separator: str) -> str:
    return separator.join(digits[n : n + 4] for n in range(0, len(digits), 4))


def _chars(chance: random.Random, alphabet: str, length: int) -> str:
    return "".join(chance.choices(alphabet, k=length))


def _jwt(chance: random.Random) -> str:
    parts = [base64.urlsafe_b64encode(chance.randbytes(40)).decode().rstrip("=") for _ in range(2)]
    return ".".join(["eyJhbGciOiJIUzI1NiJ9", *parts])


SECRETS: dict[str, Callable[[random.Random], str]] = {
    "e-mail": lambda r: f"{_chars(r, ALNUM, 9)}.{_chars(r, ALNUM, 4)}+tag@mail.example.co.uk",
    "escaped e-mail": lambda r: f"{_chars(r, ALNUM, 12)}%40example.com",
    "long e-mail": lambda r: f"{_chars(r, ALNUM, 100)}@{_chars(r, ALNUM, 20)}.org",
    "card": lambda r: _card("4", 16, r),
    "spaced card": lambda r: _spaced(_card("5", 16, r), " "),
    "dashed card": lambda r: _spaced(_card("34", 15, r), "-"),
    "card in two lines": lambda r: _spaced(_card("6011", 16, r), "\n"),
    "jwt": _jwt,
    "hex": lambda r: r.randbytes(20).hex(),
    "base64": lambda r: base64.b64encode(r.randbytes(48)).decode(),
    "base64url": lambda r: base64.urlsafe_b64encode(r.randbytes(48)).decode(),
    "our own key": lambda r: f"sig_ingest_{base64.urlsafe_b64encode(r.randbytes(32)).decode().rstrip('=')}",
    "vendor": lambda r: f"sk_live_{_chars(r, ALNUM, 24)}",
    "vendor's other": lambda r: f"ghp_{_chars(r, ALNUM, 36)}",
    "cloud": lambda r: f"AKIA{_chars(r, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567', 16)}",
    "bearer": lambda r: f"Bearer {_chars(r, ALNUM + '-._~', 18)}",
    "phone": lambda r: f"+49 {r.randint(150, 179)} {r.randint(1_000_000, 99_999_999)}",
    "iban": lambda _: "DE89 3704 0044 0532 0130 00",
    "key": lambda r: f"-----BEGIN EC PRIVATE KEY-----\n{_chars(r, ALNUM, 64)}\n-----END EC PRIVATE KEY-----",
}
HELD = {  # what only its surroundings make a secret
    "url": "postgres://app:{}@db.internal:5432/shop",
    "json": 'refused {{"user": "bob", "password": "{}"}}',
    "escaped json": 'body was "{{\\"client_secret\\":\\"{}\\"}}"',
    "query": "GET /callback?access_token={}&state=ok",
    "variable": "DB_PASSWORD={} not accepted",
    "header": "headers: X-Api-Key: {}",
    "flag": "ran mysql --password {} -u root",
    "cookie": "Cookie: theme=dark; sid={}",
    "basic": "Authorization: Basic {}",
}
ORDINARY = [
    "order ORD-2026-000123 for customer 4711 failed after 3 attempts in 1532 ms",
    "GET /api/v2/customerAccounts/42/paymentMethods/77/confirmationPage answered 503",
    "/orders/550e8400-e29b-41d4-a716-446655440000/items/01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "com.example.checkout.PaymentGatewayTimeoutException: upstream 10.0.3.7:8443 did not answer",
    "release 2026.3.4.1, pod checkout-7d9f8b6c5d-x2x4q, at 2026-03-04T12:05:07.123Z (1772625907123)",
    "react@18.2.0 needs node >= 20; commit 3f2a9c1; tokens: 512, token_count=512, max 4096 connections",
    "Unexpected token } in JSON; basic authentication failed; the password must have 12 characters",
    "see https://status.example.com/incidents/42?page=2#top and http://cache:8080/a@b",
    "sizes 1200 2400 4800 9600, retry 1 2 3 4 5 6 7 8 9 10 11 12 13",
]


def _fragments(secret: str) -> set[str]:
    """Every run of 12 characters, as a line of an exhibit would write it."""
    line = " ".join(secret.split())
    return {line[n : n + 12] for n in range(max(1, len(line) - 11))}


def _sent(message: str, **attributes: object) -> str:
    brief = replace(SPIKE, events=(event(1, message=message, **attributes),))
    sent = redact(brief)
    return build_prompt(sent, exhibits(sent)).user


@pytest.mark.parametrize("kind", SECRETS)
@settings(derandomize=True, deadline=None)
@given(seed=st.integers(0, 2**32), before=AROUND, spaced=st.booleans())
@example(seed=9563, before="", spaced=False)  # its hex holds the digits of a valid card
def test_a_planted_secret_never_survives(kind: str, seed: int, before: str, spaced: bool) -> None:
    secret = SECRETS[kind](random.Random(seed))
    start = before + (" " if spaced or before[-1:].isalnum() else "")
    sent = _sent(f"{start}{secret} and more", note={"deep": [f"x {secret}"]}, **{f"seen {secret}": secret})
    leaked = {piece for piece in _fragments(secret) if piece in sent} - {"-----BEGIN EC", "EC PRIVATE KEY"}
    assert leaked == set()


@pytest.mark.parametrize("holder", HELD)
@settings(derandomize=True, deadline=None)
@given(secret=st.text("abcXYZ019!?$%*+_.-", min_size=9, max_size=24).filter(lambda s: s[0].isalnum()))
def test_value_under_a_secrets_name_never_survives(holder: str, secret: str) -> None:
    text = HELD[holder].format(secret)
    assert secret.rstrip(".)") not in Redactor().text(text)


@settings(derandomize=True, deadline=None)
@given(secret=st.text(min_size=6, max_size=30).filter(str.strip), number=st.integers(100_000, 2**40))
def test_attributes_with_secret_names_are_hidden(secret: str, number: int) -> None:
    hidden = {"password": secret, "apiKey": {"id": secret, "parts": [secret]}, "user_pin": 1, "otp": number}
    redacted = Redactor().members(hidden)
    assert redacted["password"] == "[secret-1]"
    assert (str(redacted["apiKey"]), str(redacted["otp"])) == ("[secret-2]", "[secret-3]")


def test_secrets_in_a_fingerprint_are_hidden_and_its_escapes_kept() -> None:
    incident = replace(SPIKE.incident, fingerprint="A%7CB|/users/bob@example.com/50%25|prod")
    redacted = redact(replace(SPIKE, incident=incident)).incident
    assert redacted.fingerprint == "A%7CB|/users/[email-1]/50%25|prod"
    assert (redacted.parts.error_code, redacted.parts.route) == ("A|B", "/users/[email-1]/50%")


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_text_is_untouched(text: str) -> None:
    assert Redactor().text(text) == text


def test_a_full_git_hash_as_release_stays_readable() -> None:
    release = random.Random(1).randbytes(20).hex()
    sent = redact(replace(SPIKE, deploys=(deploy(release, minutes_before=3),)))
    assert f"release {release} was deployed 3 minutes before" in str(exhibits(sent))


TEXTS = st.lists(
    st.one_of(
        st.text(max_size=20),
        st.integers(0, 2**32).flatmap(
            lambda seed: st.sampled_from([make(random.Random(seed)) for make in SECRETS.values()])
        ),
        st.sampled_from([*HELD.values(), "[email-1]", "[secret-2]", "password=", "://", "@", "Bearer ", '"']),
    ),
    max_size=8,
)


@settings(derandomize=True, deadline=None)
@given(pieces=TEXTS, glue=st.sampled_from(["", " ", "\n", "="]))
def test_redacting_twice_changes_nothing_more(pieces: list[str], glue: str) -> None:
    once = Redactor().text(glue.join(pieces))
    assert Redactor().text(once) == once


def test_one_value_keeps_one_placeholder_in_all_events() -> None:
    brief = replace(
        SPIKE,
        events=(
            event(1, message="ann@example.com failed"),
            event(2, message="bob@example.com failed", user="ann@example.com"),
        ),
    )
    first, second = (e.attributes for e in redact(brief).events)
    assert first["message"] == "[email-1] failed"
    assert (second["message"], second["user"]) == ("[email-2] failed", "[email-1]")


def test_claims_about_placeholders_are_checked_like_numbers() -> None:
    sent = redact(replace(SPIKE, events=(event(1, message="ann@example.com failed"),)))
    shown = exhibits(sent)
    answer = SummaryAnswer(
        title="Checkout fails for [email-1]",
        impact="[email-2] cannot pay",
        likely_causes=(),
        evidence=("[E1] [email-1] failed", "[E1] [email-2] failed"),
        next_steps=(),
        confidence=1.0,
    )
    summary = check(answer, shown, fallback=answer_from(SPIKE, shown))
    assert summary.title == "Checkout fails for [email-1]"
    assert "email-2" not in summary.impact
    assert (summary.verification.claimed, summary.verification.verified) == (2, 1)
    assert "email-2" not in summary.evidence[1]


HOSTILE = ["a@", "password ", "://a:", "1234 ", "DE89 ", "Aa1/", "eyJ", '"password":"', "a.@", "<", "\u202e"]


@pytest.mark.parametrize("unit", [*HOSTILE, "😀", "\x01"])
def test_hostile_events_are_sent_within_stated_bytes_and_redacted_in_seconds(unit: str) -> None:
    message = (unit * 8192)[:8192]
    rest = {f"key {n} {unit * 50}"[:128]: [message[:4096]] * 3 for n in range(21)}
    brief = replace(
        SPIKE,
        incident=replace(SPIKE.incident, fingerprint=f"{message[:128]}|{message[:256]}|prod"),
        events=tuple(event(n, message=message, route=message[:256], **rest) for n in range(50)),
        deploys=tuple(event(n, release=message[:128], message=message) for n in range(100, 105)),
    )
    started = time.process_time()
    sent = redact(brief)
    prompt = build_prompt(sent, exhibits(sent), correction=json.dumps(message)[:200])
    assert time.process_time() - started < 60, "redaction must stay linear; 1 s on a quiet machine"
    assert len(prompt.system.encode()) + len(prompt.user.encode()) <= MAX_PROMPT_BYTES
