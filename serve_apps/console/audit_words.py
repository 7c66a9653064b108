"""The audit in words: who changed which object, and how, without names of fields and ids."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final
from uuid import UUID

MAX_VALUE: Final = 40  # characters of one value
NAMED: Final = ("destination", "route")
"""Kinds of things that values name by their id; the name of each begins with its kind."""
MAX_SAID: Final = 300  # characters of one change; guess: four lines


def said_of(detail: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """Say behind its verb what a change did; empty where the verb says all.

    `names` are those of people, keys, destinations and routes, by the target that a change names.
    """
    before, after = detail.get("before"), detail.get("after")
    if isinstance(before, Mapping) or isinstance(after, Mapping):
        said = ", ".join(_differences(before or {}, after or {}, names))
        return f": {said}"[:MAX_SAID] if said else ""
    if after:
        return f": {before} to {after}"
    return f", as {detail['role']}" if detail.get("role") else ""


def target_of(target: str, names: Mapping[str, str]) -> str:
    """Name what was changed; of what is gone, its kind alone."""
    kind, _, name = target.partition(":")
    return names.get(target) or (kind.replace("_", " ") if _is_id(name) else target.replace(":", " ", 1))


def _differences(
    before: Mapping[str, Any], after: Mapping[str, Any], names: Mapping[str, str]
) -> Iterator[str]:
    """Yield each field that differs, with both values; one that is only true needs no value."""
    for name in {**before, **after}:
        old, new = before.get(name), after.get(name)
        if old == new or (name not in before and new in (False, None, [], "")):
            continue
        field = name.removesuffix("_id").replace("_", " ")
        if name in before:
            yield f"{field} from {_value(old, names)} to {_value(new, names)}"
        else:
            yield field if new is True else f"{field} {_value(new, names)}"


def _value(value: object, names: Mapping[str, str]) -> str:
    if isinstance(value, bool):
        text = "yes" if value else "no"
    elif value in (None, [], "", {}):
        text = "nothing"
    elif isinstance(value, list):
        text = ", ".join(_value(one, names) for one in value)
    elif isinstance(value, Mapping):
        members = (f"{name.replace('_', ' ')} {_value(one, names)}" for name, one in value.items())
        text = f"({', '.join(members)})"
    elif isinstance(value, str):
        named = next((found for kind in NAMED if (found := names.get(f"{kind}:{value}"))), value)
        text = named.partition(" ")[2] if named != value else value  # the field says the kind
    else:
        text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 1] + "…"


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
