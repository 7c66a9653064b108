"""Reads what a model sends as the arguments of a tool; each refusal tells it what to change."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from signals.domain.summary.conversation.asking import TOOLS
from signals.domain.summary.conversation.turns import MAX_ARGUMENT_CHARS, ToolCall

MAX_MINUTES: Final = 100_000  # guess: 69 days, longer than events are searchable


class ToolRefused(Exception):  # noqa: N818  # a verdict that the model reads
    """A call that cannot be carried out; its text tells the model what to change."""


def known_tool(call: ToolCall) -> str:
    """Return the name of the tool that is called.

    Raises:
        ToolRefused: when there is none of that name.
    """
    names = [tool.name for tool in TOOLS]
    if call.name not in names:
        raise ToolRefused(f"there is no such tool; there are {', '.join(names)}")
    return call.name


def arguments_of(call: ToolCall) -> dict[str, Any]:
    """Read the arguments of a call by name, none that its tool does not know.

    Raises:
        ToolRefused: naming what is wrong.
    """
    if len(call.arguments) > MAX_ARGUMENT_CHARS:
        raise ToolRefused(f"the arguments have more than {MAX_ARGUMENT_CHARS} characters")
    try:
        found = json.loads(call.arguments or "{}")
    except ValueError as error:
        raise ToolRefused("the arguments are not JSON") from error
    if not isinstance(found, dict):
        raise ToolRefused("the arguments are no JSON object")
    known = next(tool for tool in TOOLS if tool.name == call.name).parameters["properties"]
    assert isinstance(known, dict)
    if unknown := found.keys() - known.keys():
        raise ToolRefused(
            f"{sorted(map(str, unknown))[0]} is no argument; there are {', '.join(known) or 'none'}"
        )
    return found


def text_of(arguments: Mapping[str, Any], name: str) -> str | None:
    """Return a text, None when it is absent or empty.

    Raises:
        ToolRefused: when it is none.
    """
    value = arguments.get(name)
    if value is not None and not isinstance(value, str):
        raise ToolRefused(f"{name} must be a text")
    return value or None


def minutes_of(arguments: Mapping[str, Any], name: str, opened: datetime, absent: datetime) -> datetime:
    """Return the instant so many minutes after the opening, `absent` when the argument is.

    Raises:
        ToolRefused: when it is no whole number, or far beyond any incident.
    """
    value = arguments.get(name)
    if value is None:
        return absent
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > MAX_MINUTES:
        raise ToolRefused(f"{name} must be a whole number of minutes")
    return opened + timedelta(minutes=value)
