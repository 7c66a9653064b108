"""Reads rules that people wrote, and says what is wrong with them."""

import re
from collections.abc import Mapping, Sequence
from typing import Final, cast

import msgspec

from shared_types.envelope import TEXT_ATTRIBUTES
from shared_types.tidying import tidy_value
from signals.domain.detection.default_rules import DEFAULT_RULES
from signals.domain.detection.own_rules import CONDITIONS
from signals.domain.detection.rule_kinds import field_at, names_at
from signals.domain.detection.rule_sense import MOST_QUOTED, flaw_of
from signals.domain.detection.rule_types import FINGERPRINT, Rule

MAX_QUOTED: Final = 200  # characters of a message that may repeat the rule's own text
MAX_RULES: Final = 1_000  # in one file or project (guess: people write tens)
DURATIONS: Final = frozenset({"window", "length", "after"})
MINUTES: Final = {"m": 1, "h": 60, "d": 1440}
LISTS: Final = ("severity", "environment", "error_code", "route", "release", "method", "status_code")


class BadRule(Exception):  # noqa: N818  # reads as the state it names
    """A rule cannot be used; the text names rule, field and bounds. `field` is its path, if it is one's."""

    def __init__(self, problem: str, *, field: str | None = None) -> None:
        super().__init__(problem)
        self.field = field


def parse_rules(given: object) -> tuple[Rule, ...]:
    """Read a list of rules. A text in the list names a rule of a new project.

    Durations may be written like `15m` or `1h`, shares like `5%`, `per: fingerprint` for its attributes.

    Raises:
        BadRule: when one of them is wrong, or two have one name.
    """
    if isinstance(given, Mapping) and set(given) == {"rules"}:
        given = given["rules"]
    if not isinstance(given, Sequence) or isinstance(given, str | bytes) or not 0 < len(given) <= MAX_RULES:
        raise BadRule(f"rules must be a list of 1 to {MAX_RULES} rules")
    rules = tuple(parse_rule(one, number) for number, one in enumerate(given, 1))
    names = [rule.name for rule in rules]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise BadRule(
            f"name {twice!r} is given to two rules; each rule needs a name of its own", field="name"
        )
    return rules


def parse_rule(given: object, number: int = 1) -> Rule:
    """Read one rule, the `number`th of its list.

    Raises:
        BadRule: when it is wrong.
    """
    defaults = {rule.name: rule for rule in DEFAULT_RULES}
    if isinstance(given, str):
        if given not in defaults:
            problem = (
                f"rule {number}: {given[:MOST_QUOTED]!r} is no rule of a new project: {', '.join(defaults)}"
            )
            raise BadRule(problem, field="name")
        return defaults[given]
    if not isinstance(given, Mapping):
        raise BadRule(f"rule {number} must be an object with name, kind and on")
    name = str(given.get("name", number))[:MOST_QUOTED]
    name = name if name.isprintable() else repr(name)
    try:
        rule: Rule = msgspec.convert(_tidied(given), Rule)
    except BadRule as error:
        raise BadRule(f"rule {name}: {error}", field=error.field) from error
    except msgspec.ValidationError as error:
        field, problem = _explained(str(error), given)
        raise BadRule(f"rule {name}: {problem}", field=field) from error
    if flaw := flaw_of(rule):
        raise BadRule(f"rule {name}: {flaw.field}: {flaw.problem}", field=flaw.field)
    default = defaults.get(rule.name)
    if default is not None and default.locked and msgspec.structs.replace(rule, locked=True) == default:
        return default
    if rule != default and (rule.locked or (default is not None and default.locked)):
        if default is None:
            problem = "locked: only the product locks rules; leave it out"
            raise BadRule(f"rule {name}: {problem}", field="locked")
        problem = "name: the rule of this name is locked, and keeps its numbers; write another name"
        raise BadRule(f"rule {name}: {problem}", field="name")
    return rule


def _tidied(given: Mapping[object, object], within: str = "") -> dict[str, object]:
    """Write durations as minutes, shares as numbers, single values as lists; `within` begins the paths."""
    out: dict[str, object] = {}
    for key, value in given.items():
        name = "on" if key is True else str(key)  # YAML 1.1 reads the word "on" as true
        if name in DURATIONS and isinstance(value, str):
            out[name] = _minutes(within + name, value)
        elif name == "limit" and isinstance(value, str) and re.fullmatch(r"\d+(\.\d+)?%", value):
            out[name] = float(value[:-1]) / 100
        elif name == "per":
            out[name] = (
                FINGERPRINT if value == "fingerprint" else [value] if isinstance(value, str) else value
            )
        elif name in LISTS and isinstance(value, str | int):
            out[name] = value if name == "severity" and "kind" in given else [_as_in_events(name, value)]
        elif name in LISTS and isinstance(value, Sequence):
            out[name] = [_as_in_events(name, one) for one in value]
        elif isinstance(value, Mapping):
            out[name] = _tidied(cast(Mapping[object, object], value), f"{within}{name}.")
        elif name == "windows" and isinstance(value, Sequence):
            out[name] = [_tidied(one, f"{name}.") if isinstance(one, Mapping) else one for one in value]
        else:
            out[name] = value
    return out


def _as_in_events(name: str, value: object) -> object:
    """Write the value of a condition as events have it: trimmed, methods in capitals, codes as digits."""
    if name not in CONDITIONS or not isinstance(value, str | int) or isinstance(value, bool):
        return value
    if name not in TEXT_ATTRIBUTES and name != "status_code":
        return str(value)  # a closed word, which the types read
    tidy = tidy_value(name, value)
    return str(value if tidy is None else tidy)  # the blank and the senseless are refused by name


def _minutes(name: str, text: str) -> int:
    match = re.fullmatch(r"(\d{1,6})([mhd])", text.strip())
    if match is None:
        problem = (
            f"{name}: {text[:MOST_QUOTED]!r} is no duration; write minutes as a number, or 15m, 1h or 1d"
        )
        raise BadRule(problem, field=name)
    return int(match[1]) * MINUTES[match[2]]


def _explained(text: str, given: Mapping[object, object]) -> tuple[str | None, str]:
    """Turn msgspec's message into the field at fault, and a sentence that says what may stand there."""
    match = re.fullmatch(r"(.*?)(?: - at `(?:key in )?\$\.?(.*)`)?", text, re.DOTALL)
    assert match is not None
    message, place = match[1].replace("`", ""), match[2] or ""
    kind = given.get("kind")
    path = [name for name in re.split(r"\[[^\]]*\]|\.", place) if name]
    if impossible := re.fullmatch(r"([a-z_.]+): (.*)", message):  # of `rule_types`
        path += impossible[1].split(".")
        return ".".join(path), f"{'.'.join(path)}: {impossible[2]}"
    if missing := re.fullmatch(r"Object missing required field (\w+)", message):
        path.append(missing[1])
        return ".".join(path), f"{'.'.join(path)}: is missing; {_remedy(kind, path)}"
    if unknown := re.fullmatch(r"Object contains unknown field (.*)", message, re.DOTALL):
        known = ", ".join(names_at(kind, path))
        path.append(unknown[1][:MOST_QUOTED])
        return ".".join(path), f"{'.'.join(path)}: is no field here; there are {known}"
    if not path:
        return None, (message[0].lower() + message[1:])[:MAX_QUOTED]
    return ".".join(path), f"{'.'.join(path)}: {_quoted(given, path)}; {_remedy(kind, path)}"


def _remedy(kind: object, path: Sequence[str]) -> str:
    field = field_at(kind, path)
    if field is None:
        return "see `signals rules list --kinds`"
    article = "" if field.values or field.kind == "text" else "an " if field.kind[0] in "aeio" else "a "
    return f"write {article}{field.allowed}"


def _quoted(given: object, path: Sequence[str]) -> str:
    """Quote the value at a path, where it is one value."""
    for name in path:
        given = given.get(name) if isinstance(given, Mapping) else None
    shown = repr(given)[:MOST_QUOTED] if isinstance(given, str | int | float) else "this value"
    return f"{shown} cannot stand here"
