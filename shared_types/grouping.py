"""Takes ids out of routes and error codes, so that one failure has one fingerprint.

`/orders/48213` and `/orders/48214` are one place. The rules are fixed by test vectors; every change of them
raises `GROUPING_VERSION`, which incidents store. Both functions leave their own result unchanged.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

from shared_types.envelope import LABEL_CHARS, ROUTE_CHARS

GROUPING_VERSION: Final = 3
"""Which events share a fingerprint. 1: routes and codes as they were sent; 2: without ids of digits and hex;
3: without keys in parentheses, mail addresses, slugs, dates, tokens, matrix parameters (below)."""

ID: Final = "{id}"
MANY: Final = "{many}"
"""Stands for the routes, or codes, that are too many to be counted one by one."""

may_hold_id: Final = re.compile(r"[0-9?#;@'=]").search
"""Finds what every id, query or fragment has: a text without it is grouped already."""
_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_AUTHORITY: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/]*")
_ESCAPED: Final = re.compile(r"(%[0-9A-Fa-f]{2})")
_KEYED: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_.]*)\((.*[0-9'=\"].*)\)")  # Orders(48213), Orders('A-17')
_VERB: Final = re.compile(r"(.+)(:[A-Za-z][A-Za-z0-9_]*)")  # 48213:cancel
_NAMED: Final = re.compile(r"([A-Za-z][A-Za-z_-]*:)(.+)")  # order:48213
_SNAKE: Final = re.compile(r"([A-Za-z]+_)([0-9]+)")  # user_123
_FILE: Final = re.compile(r"([^.]+)(\.[A-Za-z]{1,5})")  # 48213.json
_NUMBERED: Final = re.compile(r"([A-Za-z]+)[0-9]{5,}")  # order48213; iso8601 and rfc2616 are words
_WHOLE: Final = re.compile(
    r"-?[0-9][0-9,_-]*"  # 48213, 2026-03-01, 1,2,3
    r"|[0-9]{4}-?[0-9]{2}-?[0-9]{2}T[0-9:.]+(?:Z|[+-][0-9:]+)?"  # 2026-03-01T10:00:00Z
    r"|[0-9]{4}-(?:W[0-9]{2}|Q[1-4]|[A-Z][a-z]{2}-[0-9]{1,2})"  # 2026-W09, 2026-Q1, 2026-Mar-01
    r"|[0-9]{1,2}-[A-Z][a-z]{2}-[0-9]{4}"  # 01-Mar-2026
    r"|(?:19|20)[0-9]{2}\.[0-9]{1,2}\.[0-9]{1,2}|[0-9]{1,2}\.[0-9]{1,2}\.(?:19|20)[0-9]{2}"  # 01.03.2026
    r"|[0-9]{1,3}(?:\.[0-9]{1,3}){3}"  # 10.0.0.7
    r"|-?[0-9]{1,3}\.[0-9]+,-?[0-9]{1,3}\.[0-9]+"  # 52.52,13.40
    r"|[^@\s]+@[A-Za-z][^@]*"  # u123@shop.example; jquery@3.6.0 is a release
    r"|[0-9]{4,}-[A-Za-z][A-Za-z0-9-]*"  # 4821-blue-shoes
    r"|(?![45][0-9]{2}-)[0-9]{3}(?:-[A-Za-z][A-Za-z0-9]*){2,}"  # 123-slug-of-title; 404-not-found is a page
    r"|(?:[A-Za-z][A-Za-z0-9]*-){3,}[0-9]{5,}"  # slug-of-title-48213
    r"|[0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{25}"  # ULID
    r"|eyJ[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+){1,2}"  # JSON web token
    r"|(?=[^=]*[0-9A-Z])[A-Za-z0-9+_-]{6,}={1,2}"  # base64
)
_RUN: Final = re.compile(r"[0-9A-Za-z]+")
_HEX: Final = re.compile(r"(?:[0-9a-f]+|[0-9A-F]+)")
_TOKEN: Final = re.compile(r"[0-9A-Za-z_~+-]+")
_SWITCHES: Final = re.compile(r"(?<=[0-9])(?=[A-Za-z])|(?<=[A-Za-z])(?=[0-9])|(?<=[a-z])(?=[A-Z])")

_REMEMBERED: Final = 4096  # texts of each sort, at most about 1 MiB
# Guesses: long enough that words, versions and years stay, short enough for the ids of common products.
_ROUTE_DIGITS: Final = 5  # order-48213; a segment of digits alone is an id at any length
_ROUTE_HEX: Final = 8  # the short form of a hash
_CODE_DIGITS: Final = 10  # ORA-00942 and E1001 are codes, 1765432109 is none
_CODE_HEX: Final = 16  # 0x80070005 is a code
_TOKEN_CHARS: Final = 12
_TOKEN_DIGITS: Final = 2
_TOKEN_SWITCHES: Final = 4  # changes between digits and letters, and from small to capital ones
_LONG_TOKEN_CHARS: Final = 16  # from which one digit suffices, where
_LONG_TOKEN_CAPITALS: Final = 0.25  # of its letters are capital: words in camel case have fewer


def group_route(route: str) -> str:
    """Return the route without query and fragment, with `{id}` for its ids."""
    return _grouped_route(route) if may_hold_id(route) else route


def group_code(code: str) -> str:
    """Return the error code with `{id}` for its long ids."""
    return _grouped_code(code) if may_hold_id(code) else code


GROUPERS: Final[Mapping[str, Callable[[str], str]]] = {"route": group_route, "error_code": group_code}
"""The attributes that are grouped; what was sent is kept as `route_raw` and `error_code_raw`."""


# Most routes and codes come again and again: `/v2/users`, `HTTP_503`.
@lru_cache(maxsize=_REMEMBERED)
def _grouped_route(route: str) -> str:
    path = route.partition("?")[0].partition("#")[0] or "/"
    authority = _AUTHORITY.match(path)
    head = authority[0] if authority else ""
    grouped = (head + "/".join(map(_segment, path[len(head) :].split("/")))).strip() or "/"
    return grouped if len(grouped) <= ROUTE_CHARS else route  # which may be short enough itself


@lru_cache(maxsize=_REMEMBERED)
def _grouped_code(code: str) -> str:
    grouped = _RUN.sub(_code_run, _UUID.sub(ID, code))
    return grouped if len(grouped) <= LABEL_CHARS else code


def _segment(segment: str) -> str:
    """Group what lies between two slashes; its matrix parameters are cut."""
    if not may_hold_id(segment):
        return segment
    segment = segment.partition(";")[0]
    if "%" not in segment:
        return _plain(segment)
    if _WHOLE.fullmatch(unquote(segment)):  # jane%40shop.example
        return ID
    return "".join(
        _plain(part) if index % 2 == 0 else part for index, part in enumerate(_ESCAPED.split(segment))
    )


def _plain(text: str) -> str:
    """Group a segment without escapes."""
    if not may_hold_id(text):
        return text
    if _WHOLE.fullmatch(text) or (_TOKEN.fullmatch(text) and _is_random(text)):
        return ID
    if keyed := _KEYED.fullmatch(text):
        return f"{keyed[1]}({ID})"
    if verb := _VERB.fullmatch(text):
        return _plain(verb[1]) + verb[2]
    if named := _NAMED.fullmatch(text):
        return named[1] + _plain(named[2])
    if snake := _SNAKE.fullmatch(text):
        return snake[1] + ID
    if file := _FILE.fullmatch(text):
        return _plain(file[1]) + file[2]
    return _RUN.sub(_route_run, _UUID.sub(ID, text))


def _route_run(run: re.Match[str]) -> str:
    if numbered := _NUMBERED.fullmatch(run[0]):
        return numbered[1] + ID
    return ID if _is_id(run[0], _ROUTE_DIGITS, _ROUTE_HEX) else run[0]


def _code_run(run: re.Match[str]) -> str:
    return ID if _is_id(run[0], _CODE_DIGITS, _CODE_HEX) else run[0]


def _is_id(text: str, digits: int, hexadecimal: int) -> bool:
    if text.isdigit():
        return len(text) >= digits
    if len(text) >= hexadecimal and _HEX.fullmatch(text) and _digits(text) >= _TOKEN_DIGITS:
        return True
    return _is_random(text)


def _is_random(text: str) -> bool:
    """Say whether letters and digits are mixed as no words are."""
    if len(text) < _TOKEN_CHARS or len(_SWITCHES.findall(text)) < _TOKEN_SWITCHES:
        return False
    digits = _digits(text)
    if digits >= _TOKEN_DIGITS:
        return True
    if not digits or len(text) < _LONG_TOKEN_CHARS:
        return False
    letters = [char for char in text if char.isalpha()]
    capitals = sum(map(str.isupper, letters)) / len(letters)
    return _LONG_TOKEN_CAPITALS <= capitals <= 1 - _LONG_TOKEN_CAPITALS


def _digits(text: str) -> int:
    return sum(map(str.isdigit, text))
