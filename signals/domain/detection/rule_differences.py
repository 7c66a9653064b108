"""Writes a stored rule as people read it: without what is not set, and what differs between two versions."""

import json
from collections.abc import Mapping
from typing import Any, Final

MAX_VALUE: Final = 40  # characters of one value of a difference


def without_empty(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out conditions that are not set: absent means the same."""
    return {
        name: without_empty(value) if isinstance(value, dict) else value
        for name, value in spec.items()
        if value not in (None, [], ()) or name == "per"
    }


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Name the fields that differ, with both values; the one value of what is new."""
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return ", ".join(
        f"{name}: {_short(before[name])} to {_short(after.get(name))}"
        if name in before
        else f"{name}: {_short(after[name])}"
        for name in names
    )


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 1] + "…"
