"""Writes a query with only the conditions that its reader asks for, and the length of a page as a number.

A condition for every filter behind `%(filter)s IS NULL OR …`, or a length that the text does not tell, leads
PostgreSQL to plan a prepared statement anew at each execution, or to keep a plan with every filter. Measured:
a third to three quarters of its time. Such a query has one plan for all values, made once a connection.
"""

from collections.abc import Mapping
from dataclasses import fields
from functools import lru_cache
from typing import TYPE_CHECKING, Final, LiteralString

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

CONDITIONS: Final[LiteralString] = "/* conditions */"
"""Stands in a query behind its last fixed condition."""
LENGTH: Final[LiteralString] = "%(limit)s"
KEPT_QUERIES: Final = 256  # guess: a few filters, orders and lengths are asked for again and again


def values_of(wanted: "DataclassInstance") -> dict[str, object]:
    """Return the fields of a filter as parameters; a word for several values becomes one of its own."""
    values = {field.name: getattr(wanted, field.name) for field in fields(wanted)}
    is_unresolved = values["status"] == "unresolved"
    is_told = values["verdict"] == "confirmed_or_learning"
    return values | {
        "status": None if is_unresolved else values["status"],
        "unresolved": is_unresolved or None,
        "verdict": None if is_told else values["verdict"],
        "told": is_told or None,
    }


def query_with(
    query: LiteralString, conditions: Mapping[str, LiteralString], values: Mapping[str, object]
) -> LiteralString:
    """Return the query with the conditions whose parameter has a value, in their order, and its `limit`."""
    chosen = tuple(text for name, text in conditions.items() if values[name] is not None)
    limit = values.get("limit")
    assert limit is None or isinstance(limit, int), "the length of a page is a number"
    return _query(query, chosen, limit)


@lru_cache(KEPT_QUERIES)
def _query(query: LiteralString, conditions: tuple[LiteralString, ...], limit: int | None) -> LiteralString:
    written = query.replace(CONDITIONS, "\n      AND ".join(["", *conditions]))
    return written if limit is None else written.replace(LENGTH, str(limit))  # our own, no reader's text
