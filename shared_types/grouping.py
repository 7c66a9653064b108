"""Takes ids out of routes and error codes, so that one failure has one fingerprint.

`/orders/48213` and `/orders/48214` are one place. The rules are fixed by test vectors; every change of them
raises `GROUPING_VERSION`, which incidents store. Both functions leave their own result unchanged.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

from shared_types.envelope import LABEL_CHARS, ROUTE_CHARS

GROUPING_VERSION: Final = 2
"""Which events share a fingerprint. 1: routes and codes as they were sent; 2: without ids (below)."""

ID: Final = "{id}"

may_hold_id: Final = re.compile(r"[0-9?#]").search
"""Finds what every id, query or fragment has: a text without it is grouped already."""
_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_NUMBERS: Final = re.compile(r"[0-9][0-9,_-]*")  # 48213, 2026-03-01, 1,2,3
_FILE: Final = re.compile(r"([^.]+)(\.[A-Za-z]{1,5})")  # 48213.json
_RUN: Final = re.compile(r"[0-9A-Za-z]+")
_HEX: Final = re.compile(r"(?:[0-9a-f]+|[0-9A-F]+)")
_TOKEN: Final = re.compile(r"[0-9A-Za-z_-]+")
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
    grouped = "/".join(map(_segment, path.split("/"))).strip() or "/"
    return grouped if len(grouped) <= ROUTE_CHARS else route  # which may be short enough itself


@lru_cache(maxsize=_REMEMBERED)
def _grouped_code(code: str) -> str:
    grouped = _RUN.sub(_code_run, _UUID.sub(ID, code))
    return grouped if len(grouped) <= LABEL_CHARS else code


def _segment(segment: str) -> str:
    if not may_hold_id(segment):
        return segment
    if file := _FILE.fullmatch(segment):
        return _segment(file[1]) + file[2]
    if _NUMBERS.fullmatch(segment) or (_TOKEN.fullmatch(segment) and _is_random(segment)):
        return ID
    return _RUN.sub(_route_run, _UUID.sub(ID, segment))


def _route_run(run: re.Match[str]) -> str:
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
    return (
        len(text) >= _TOKEN_CHARS
        and _digits(text) >= _TOKEN_DIGITS
        and len(_SWITCHES.findall(text)) >= _TOKEN_SWITCHES
    )


def _digits(text: str) -> int:
    return sum(map(str.isdigit, text))
