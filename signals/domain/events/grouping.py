"""Finds the error code and the route of a foreign fault, so that one outage is one incident at every door.

Version `foreign.GROUPING` of the rules. Described in docs/concepts/foreign-events.md.
"""

import re
from typing import Final

from shared_types.envelope import LABEL_CHARS, ROUTE_CHARS
from signals.domain.events.masking import label, masked

MIN_NAME_CHARS: Final = 3  # a shorter function name is a minified one, which changes with each build
MIN_HEX_CHARS: Final = 16
MIN_RANDOM_CHARS: Final = 20
MAX_URL_CHARS: Final = 4_096  # guess: read of a URL; a route has 256

GENERIC_TYPES: Final = frozenset(
    {
        *("Error", "Exception", "AggregateError", "ExceptionGroup"),
        *("*fmt.wrapError", "*fmt.wrapErrors", "*errors.errorString", "*errors.joinError"),
        *("*errors.withStack", "*errors.fundamental", "*errors.withMessage"),
    }
)
"""Types that name no fault, neither of a wrapper nor alone."""

WRAPPERS: Final = GENERIC_TYPES | {
    *("RuntimeException", "ExecutionException", "CompletionException", "ServletException"),
    *("InvocationTargetException", "UndeclaredThrowableException"),
    *("System.AggregateException", "System.Reflection.TargetInvocationException"),
}
"""Types that name no fault when they are around another one; alone, those of Java and .NET do."""

_ID: Final = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_VARYING: Final = re.compile(
    rf"\"[^\"\r\n]*\"|(?<!\w)'[^'\r\n]*'(?!\w)|\b{_ID}\b|\b(?=[0-9a-fA-F]*\d)[0-9a-fA-F]{{{MIN_HEX_CHARS},}}\b|\d+"
)
_HIDDEN: Final = re.compile(r"\+?\[(?:card|iban|phone|token)\]")  # some numbers pass a check by chance
_SEGMENT: Final = re.compile(rf"\d+|{_ID}|[0-9a-fA-F]{{{MIN_HEX_CHARS},}}")
_PARAMETER: Final = re.compile(r":\w+\??|<[^<>/]+>|\{[^{}/]+\}|\[[^\[\]/]+\]|\*\w+")
_RANDOM: Final = re.compile(rf"[\w~%+=.-]{{{MIN_RANDOM_CHARS},}}")
_URL_PATH: Final = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?//[^/?#\s]*(?P<path>/[^?#]*)?|(?P<bare>/[^?#]*)")
_PATH: Final = re.compile(r"(?:(?P<method>[A-Z]{3,10})\s+)?(?P<path>/\S*)")


def varying_masked(text: str) -> str | None:
    """Return the text as an error code: numbers, ids and quoted parts become `#`."""
    return label(_VARYING.sub("#", _HIDDEN.sub("#", masked(text))), LABEL_CHARS)


def code_in(function: str | None) -> str | None:
    """Return the function as a place that names a fault, None when it has no real name."""
    if function is None or len(function) < MIN_NAME_CHARS or "?" in function or function.startswith("<"):
        return None
    return function


def path_in(transaction: str) -> tuple[str | None, str] | None:
    """Return method and path of a name like `/checkout` or `POST /checkout`, None for any other name."""
    match = _PATH.fullmatch(transaction[:MAX_URL_CHARS].strip())
    return (match["method"], match["path"]) if match else None


def path_of(url: str) -> str | None:
    """Return the path of a URL or of a bare path, without query and fragment."""
    match = _URL_PATH.match(url[:MAX_URL_CHARS].strip())
    if match is None:
        return None
    return match["path"] or match["bare"] or "/"


def templated(path: str, *, is_declared: bool = False) -> str | None:
    """Return a path whose varying segments are `{id}`; in a declared route only its parameters vary."""
    bare = re.split(r"[?#]", path[:MAX_URL_CHARS], maxsplit=1)[0]
    segments = [_segment(part, is_declared=is_declared) for part in bare.split("/")]
    route = "/".join(segments)
    return label(route if is_declared else masked(route, MAX_URL_CHARS), ROUTE_CHARS)


def _segment(segment: str, *, is_declared: bool) -> str:
    if _PARAMETER.search(segment):
        return "{id}" if _PARAMETER.fullmatch(segment) else _PARAMETER.sub("{id}", segment)
    if is_declared or not segment:
        return segment
    if _SEGMENT.fullmatch(segment) or "@" in segment or "%40" in segment or _looks_random(segment):
        return "{id}"
    return segment


def _looks_random(segment: str) -> bool:
    """Whether a long segment mixes digits with letters, as ids do and words do not."""
    if not _RANDOM.fullmatch(segment):
        return False
    if "-" in segment or "_" in segment:  # a slug of words may hold a year
        parts = [part for part in re.split("[-_]", segment) if len(part) >= MIN_RANDOM_CHARS // 2]
        return any(any(character.isdigit() for character in part) for part in parts)
    return any(character.isdigit() for character in segment)
