"""Checked texts and instants of a query, and the error that names the parameter at fault."""

from datetime import datetime
from typing import Final

from pydantic import TypeAdapter, ValidationError

from shared_types.envelope import Timestamp

_INSTANT: Final[TypeAdapter[datetime]] = TypeAdapter(Timestamp)


class InvalidQuery(ValueError):  # noqa: N818  # named, like InvalidEvent, for what the query is
    """The question cannot be answered as it stands; correct the parameter before asking again."""

    def __init__(self, parameter: str, message: str) -> None:
        super().__init__(parameter, message)
        self.parameter = parameter
        self.message = message

    def __str__(self) -> str:
        return f"{self.parameter}: {self.message}"


def checked_text(parameter: str, text: str, *, max_length: int) -> str:
    """Return `text` when a server can store and compare it.

    Raises:
        InvalidQuery: for NUL characters, lone surrogates, or too much of it.
    """
    if len(text) > max_length:
        raise InvalidQuery(parameter, f"it may have {max_length} characters at most")
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidQuery(parameter, "remove NUL characters and lone surrogates")
    return text


MAX_TEXT: Final = 200  # characters that a list is searched for; guess: titles are shorter


def searched_text(text: str | None) -> str | None:
    """Return the text that titles are searched for, None without one.

    Raises:
        InvalidQuery: as `checked_text` does.
    """
    return checked_text("text", text, max_length=MAX_TEXT) if text else None


def instant(parameter: str, text: str) -> datetime:
    """Read an RFC 3339 instant with an offset, to UTC milliseconds.

    Raises:
        InvalidQuery: when it is none.
    """
    try:
        return _INSTANT.validate_python(text)
    except ValidationError as error:
        hint = "write an instant with its offset, like 2025-12-27T10:00:00Z (in a URL, + is %2B)"
        raise InvalidQuery(parameter, hint) from error
