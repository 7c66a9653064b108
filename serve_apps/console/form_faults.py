"""Reads the fields of a form as the body that the API takes, and says in plain words which one is wrong."""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

Model = TypeVar("Model", bound=BaseModel)

OWN_WORDS: Final = "Value error, "
"""Stands before the text of a check of ours."""
WORDS: Final[Mapping[str, str]] = {
    "missing": "fill it in",
    "string_too_short": "fill it in",
    "too_short": "choose or write at least one",
    "string_too_long": "write at most {max_length} characters",
    "too_long": "write at most {max_length} of them",
    "int_type": "write a whole number",
    "int_parsing": "write a whole number",
    "greater_than_equal": "write at least {ge}",
    "less_than_equal": "write at most {le}",
    "literal_error": "choose one of the list",
    "enum": "choose one of the list",
    "uuid_type": "choose one of the list",
    "uuid_parsing": "choose one of the list",
    "union_tag_invalid": "choose a kind of destination",
    "union_tag_not_found": "choose a kind of destination",
}
"""Our words for pydantic's kinds of errors. Source: https://docs.pydantic.dev/latest/errors/validation_errors/"""
HINTS: Final[Mapping[str, str]] = {
    "channel": "C0123456789",
    "begins": "22:00",
    "ends": "07:00",
    "starts_at": "2026-12-24T22:00",
}
"""Examples for the fields whose text has a form."""


class BadForm(Exception):  # noqa: N818  # reads as what happened
    """A form cannot be used; the text names the field and the remedy, and repeats no secret."""


def model_of(kind: type[Model], fields: Mapping[str, Any], labels: Mapping[str, str]) -> Model:
    """Read the fields of a form; `labels` say by field what the page calls it.

    Raises:
        BadForm: naming the field at fault.
    """
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        names = [str(part) for part in fault["loc"] if not isinstance(part, int)]
        raise BadForm(_sentence(names[-1] if names else "", fault, labels)) from None


def _sentence(name: str, fault: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    message = str(fault["msg"])
    if message.startswith(OWN_WORDS):
        text = message.removeprefix(OWN_WORDS)
    elif fault["type"] in WORDS:
        text = WORDS[fault["type"]].format(**fault.get("ctx", {}))
    elif name in HINTS:
        text = f"write it like {HINTS[name]}"
    else:
        text = "it has characters that cannot stand here"
    whole = f"{labels[name]}: {text}" if name in labels else text
    return f"{whole[:1].upper()}{whole[1:]}."
