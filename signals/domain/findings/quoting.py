"""The quotable part of a message: whether it is specific, its numbers, and a quote without instructions.

A message is text of a stranger: what looks like an instruction, a link or markup is never quoted.
"""

import re
from collections.abc import Collection, Sequence
from typing import Final

from signals.domain.findings.templates import WORD, has_words

MAX_QUOTE_CHARS: Final = 140  # guess: one line in a sentence
MIN_SAMPLES: Final = 3  # from so many equal numbers on, a number is part of the message

_COUNT: Final = re.compile(r"\d[\d.,:]{0,7}(?:ms|s|kb|mb|gb|%)?")
_PART: Final = re.compile(r"\{(?:n|id|url|address)\}")
_SUSPICIOUS: Final = re.compile(
    r"(?i)[<>{}\[\]`|$\\]|//|\bwww\.|\bignore\b.{0,40}\binstructions?"
    r"|\b(?:system|assistant|user|developer)\s?:"
    r"|\b(?:disregard|forget|override|pretend|jailbreak|prompt|copy this|likely cause|root cause|next step"
    r"|tell\b.{0,20}\b(?:that|to)|you (?:are|must|should)|answer (?:that|with|only)|summary|confidence"
    r"|respond|run the|execute|proves? that|is the cause|cause is|blame|visit|click"
    r"|roll ?back|everything is fine|false alarm|all clear|resolved)\b"
)
_GENERIC: Final = frozenset({
    "a", "action", "address", "again", "an", "and", "api", "app", "application", "at", "bad", "be",
    "been", "by", "call", "can", "cannot", "code", "complete", "completed", "condition", "could",
    "critical", "delete", "did", "do", "does", "during", "empty", "encountered", "error", "errors",
    "exception", "fail", "failed", "failing", "failure", "fatal", "for", "from", "fulfil", "fulfilled",
    "general", "generic", "get", "had", "handle", "handled", "handling", "happened", "has", "have",
    "head", "http", "https", "id", "in", "internal", "invalid", "is", "issue", "it", "job", "later",
    "n", "no", "none", "not", "null", "occur", "occurred", "of", "on", "oops", "operation", "or", "our",
    "page", "patch", "perform", "please", "post", "prevented", "problem", "process", "processed",
    "processing", "put", "request", "requests", "response", "server", "service", "severe", "something",
    "sorry", "status", "system", "task", "temporarily", "that", "the", "there", "this", "to", "trouble",
    "try", "unable", "unavailable", "undefined", "unexpected", "unhandled", "unknown", "unspecified",
    "url", "was", "we", "went", "while", "with", "wrong", "you", "your",
})  # fmt: skip
"""Words that say no more than that something failed."""


def is_specific(template: str, known: Collection[str] = ()) -> bool:
    """Whether it says more than that something failed; `known` are words like those of the route."""
    words = {word.casefold() for word in WORD.findall(_PART.sub(" ", template))}
    said = {word.casefold() for text in known for word in WORD.findall(text)}
    return bool(words - _GENERIC - said)


def restored(template: str, samples: Sequence[str]) -> str:
    """Put numbers back that are the same in every sampled message: they belong to the message."""
    if len(samples) < MIN_SAMPLES:
        return template
    rows = [" ".join(sample.split()).split(" ") for sample in samples]
    words = template.split(" ")
    for index, word in enumerate(words):
        if "{n}" not in word or any(len(row) <= index for row in rows):
            continue
        seen = {row[index] for row in rows}
        if len(seen) == 1 and _fills(word, only := next(iter(seen))):
            words[index] = only
    return " ".join(words)


def quotable(template: str, *, whole: bool = False) -> str | None:
    """Return what of it may be quoted: the part before anything suspicious, None when too little is left.

    With `whole` nothing is quoted of a text that holds anything suspicious.
    """
    text = _PART.sub("…", template)
    found = _SUSPICIOUS.search(text)
    if found is not None:
        text = "" if whole else text[: found.start()]
        # Half a sentence before an instruction may be its beginning.
        if not re.search(r"[\w…%)]\s*$", text) or len(text.split()) < 3:
            return None
    text = text.replace('"', "'").strip(" ,;:-")
    if len(text) > MAX_QUOTE_CHARS:
        text = text[: MAX_QUOTE_CHARS - 1].rsplit(" ", 1)[0] + "…"
    return text if has_words(text) else None


def _fills(word: str, found: str) -> bool:
    pattern = re.escape(word).replace(re.escape("{n}"), _COUNT.pattern)
    return re.fullmatch(pattern, found) is not None
