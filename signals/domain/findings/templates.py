"""Message templates: messages without their numbers and ids, counted in groups.

Masking needs no state, so that the same message gives the same template in every process.
"""

import re
from collections.abc import Mapping
from typing import Final

MAX_TEMPLATE_CHARS: Final = 200  # bounds the term in the index (guess)
MAX_READ_CHARS: Final = 600  # of a message; what distinguishes it stands at its beginning
MAX_WILD: Final = 2  # words in which messages of one kind may differ

_MASKS: Final = (
    (re.compile(r"(?i)\b[a-z][a-z0-9+.-]*://[^\s\"'<>)]+"), "{url}"),
    (re.compile(r"[^\s@,;<>\"']+@[^\s@,;<>\"']+"), "{address}"),
    (re.compile(r"(?i)\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "{id}"),
    (re.compile(r"(?i)\b(?=[a-f]*\d)(?=\d*[a-f])(?:0x)?[0-9a-f]{8,}\b"), "{id}"),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b"), "{n}"),
    (re.compile(r"\d{4,}"), "{n}"),
    (
        re.compile(
            r"(?<![\w.-])\d+(?:[.,]\d+)?(?=(?:ms|s|kb|mb|gb|%)?(?![\w.-])|(?:ms|s|kb|mb|gb|%)?[.-](?:\s|$))"
        ),
        "{n}",
    ),
)
WORD: Final = re.compile(r"[^\W\d_]{2,}")


def template_of(message: str) -> str:
    """Return the message with numbers, ids and addresses replaced, at most `MAX_TEMPLATE_CHARS` long."""
    text = " ".join(message[:MAX_READ_CHARS].split())
    for pattern, mask in _MASKS:
        text = pattern.sub(mask, text)
    return text[:MAX_TEMPLATE_CHARS].rstrip()


def grouped(templates: Mapping[str, int]) -> dict[str, int]:
    """Count a template that only adds words to a shorter one to that one; most frequent first."""
    groups: dict[str, int] = {}
    for template in sorted(templates, key=lambda text: (len(text), text)):
        padded = f" {_bare(template)} "
        home = next(
            (short for short in groups if f" {_bare(short)} " in padded and has_words(short)), template
        )
        groups[home] = groups.get(home, 0) + templates[template]
    if groups and max(groups.values()) < sum(groups.values()) * 0.6:
        groups = _merged(groups)
    return dict(sorted(groups.items(), key=lambda item: (-item[1], item[0])))


def _bare(text: str) -> str:
    """Return the words without the punctuation at their ends."""
    return " ".join(word.strip(".,;:!?") for word in text.split(" "))


def has_words(text: str) -> bool:
    """Whether a text is a message at all."""
    return len(WORD.findall(text)) >= 2  # one word is no message


def _merged(groups: Mapping[str, int]) -> dict[str, int]:
    """Join messages of one length that differ in a word or two: names in them are variables."""
    merged: dict[tuple[str, ...], int] = {}
    for template in sorted(groups, key=lambda text: (-groups[text], text)):
        words = tuple(template.split(" "))
        home = next((other for other in merged if _alike(other, words)), None)
        if home is None:
            merged[words] = merged.get(words, 0) + groups[template]
            continue
        count = merged.pop(home) + groups[template]
        joined = tuple(a if a == b else "{id}" for a, b in zip(home, words, strict=True))
        merged[joined] = merged.get(joined, 0) + count
    return {" ".join(words): count for words, count in merged.items()}


def _alike(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    if len(one) != len(other):
        return False
    differing = sum(a != b for a, b in zip(one, other, strict=True))
    return differing <= MAX_WILD and differing * 3 < len(one)
