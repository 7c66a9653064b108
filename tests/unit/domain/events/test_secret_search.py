"""A quick look at a text leaves out no pattern that would find a secret in it."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signals.domain.events.secret_search import likely_rules, without_secrets
from signals.domain.events.secrets import RULES, SecretRule
from tests.support.recordings import recordings

PARTS = (
    *("-----BEGIN RSA PRIVATE KEY-----", "https://user:pw1@host/", "Cookie: a=b", "password=hunter2"),
    *("--api-key abcdefgh", "Bearer abcdefgh1", "Basic dXNlcjpwYXNz", "ghp_0123456789abcdef", "eyJhbGciOiJI"),
    *("jo@shop.example", "A1b2C3d4" * 6, "a1b2_" * 9, "0a1b2c3d" * 5, "DE89 3704 0044 0532 0130 00"),
    *(
        "4111 1111 1111 1111",
        "+49 30 1234 5678",
        "[secret]",
        "TOKEN",
        "\u0131d",
        "\u212aey=1",
        " ",
        "x",
        "-",
        "=",
        "1",
    ),
)
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def _finds(rule: SecretRule, text: str) -> bool:
    return any(True for match in rule.pattern.finditer(text) for _ in rule.spans(match))


def _searched_by_every_rule(text: str) -> str:
    for rule in RULES:
        pieces, end = [], 0
        for match in rule.pattern.finditer(text):
            for start, stop in rule.spans(match):
                pieces += [text[end:start], f"[{rule.kind}]"]
                end = stop
        text = "".join([*pieces, text[end:]])
    return text


def _mask(kind: str, _: str) -> str:
    return f"[{kind}]"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: re.sub(r"\W+", " ", rule.pattern.pattern)[:40])
def test_every_rule_finds_one_of_the_samples(rule: SecretRule) -> None:
    assert any(_finds(rule, part) for part in PARTS)


@pytest.mark.parametrize("at", range(len(RULES)))
@QUICK
@given(data=st.data())
def test_pattern_is_tried_where_it_matches(at: int, data: st.DataObject) -> None:
    rule = RULES[at]
    text = data.draw(st.from_regex(rule.pattern, alphabet=st.characters(max_codepoint=0x250)))
    if _finds(rule, text):
        assert rule in likely_rules(text)


@settings(QUICK, max_examples=400)
@given(parts=st.lists(st.sampled_from(PARTS) | st.text(max_size=6), max_size=6), upper=st.booleans())
def test_result_is_that_of_every_rule(parts: list[str], upper: bool) -> None:
    text = "".join(parts)
    text = text.upper() if upper else text
    assert without_secrets(text, _mask) == _searched_by_every_rule(text)


def test_usual_texts_are_searched_with_few_rules() -> None:
    messages = [str(event["message"]) for one in recordings() if one.door for event in one.expected]
    searched = sum(len(likely_rules(message)) for message in messages)
    assert 0 < searched < len(messages) * len(RULES) / 3
