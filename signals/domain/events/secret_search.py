"""Finds secrets in text, and looks first at which rules may find any: most texts hold none.

All that a pattern costs is saved where a letter that it needs does not stand in the text.
"""

from collections.abc import Callable, Sequence
from typing import Final

from signals.domain.events.secrets import MIN_RUN, RULES, SecretRule

_DIGITS: Final = b"0123456789"
_IN_A_ROW: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_=-"
_GAPS: Final = bytes(byte if byte in _IN_A_ROW else ord(" ") for byte in range(256))


def likely_rules(text: str) -> Sequence[SecretRule]:
    """Return the rules that may find something in a text, in their order; no other one does.

    What takes the place of a find must stand in square brackets: no match goes across them.
    """
    if not text.isascii():  # patterns know other digits, and letters with two lower cases
        return RULES
    lowered, plain = text.lower(), text.encode()
    digits = len(plain) - len(plain.translate(None, _DIGITS))
    run = max(map(len, plain.translate(_GAPS).split()), default=0) if digits and len(plain) >= MIN_RUN else 0
    likely: list[SecretRule] = []
    for rule in RULES:
        _, _, _, needs, min_digits, min_run = rule
        if digits < min_digits or run < min_run:
            continue
        for texts in needs:
            for needed in texts:
                if needed in lowered:
                    break
            else:
                break
        else:
            likely.append(rule)
    return likely


def without_secrets(text: str, replacement: Callable[[str, str], str]) -> str:
    """Return the text with `replacement(kind, secret)`, which is in square brackets, for each secret."""
    for rule in likely_rules(text):
        pieces: list[str] = []
        end = 0
        for match in rule.pattern.finditer(text):
            for start, stop in rule.spans(match):
                pieces += (text[end:start], replacement(rule.kind, text[start:stop]))
                end = stop
        if pieces:
            text = "".join([*pieces, text[end:]])
    return text


def holds_secret(text: str) -> bool:
    """Whether a secret stands in the text."""
    return any(
        next(iter(rule.spans(match)), None) is not None
        for rule in likely_rules(text)
        for match in rule.pattern.finditer(text)
    )
