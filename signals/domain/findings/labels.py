"""Labels of an event: its attributes as bounded `name=value` terms that can be counted.

Secrets and personal data never become labels. A list gives one label an item, an object `name.member=value`.
Numbers from 100 on become ranges, so that a limit in an amount or a size can be found; those of people and
customers are names, and stay.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Self

from signals.domain.events.secret_search import holds_secret
from signals.domain.events.secrets import is_secret_name

MAX_LABELS: Final = 24  # an event: bounds the cost of the index (guess)
MAX_NAME_CHARS: Final = 48  # guess: longer names are no names
MAX_VALUE_CHARS: Final = 80  # guess: longer values are text, not labels
MAX_EXACT: Final = 100  # guess: smaller integers are counted one by one, larger ones as ranges
MIN_SECRET_CHARS: Final = 11  # the shortest secret that a pattern recognises without "@" or "+"

PEOPLE: Final = ("customer_id", "user_id", "account_id")
"""Names whose distinct values are the reach of an incident."""

_FIRST: Final = ("release", "region", "host", "customer_id")
_NEVER: Final = frozenset({"method", "status_code", "error_code", "route_raw", "error_code_raw"})
"""Fields of their own in the index, and effects of failing or parts of the fingerprint: never a cause."""
_SCALARS: Final = frozenset({str, bool, int, float})
_ID: Final = re.compile(
    r"(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|(?=[a-f]*\d)[0-9a-f]{16,}|\d{10,}"
)
_MEASURE: Final = re.compile(
    r"(?i)(?:^|[_.-])(?:ms|seconds|duration|latency|elapsed|took|timestamp|time|at|bytes_sent)$"
    r"|^(?:trace|span|request|event|message|correlation|transaction)[_.-]?id$|^(?:message|stack|stacktrace)$"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelNames:
    """Names that a project allows (None: all) and denies."""

    allowed: frozenset[str] | None = None
    denied: frozenset[str] = frozenset()

    def admit(self, name: str) -> bool:
        """Whether an attribute of this name may become a label."""
        return name not in self.denied and (self.allowed is None or name in self.allowed)


ANY_NAME: Final = LabelNames()


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelPolicy:
    """Names of labels for all projects, and for those that have names of their own."""

    everywhere: LabelNames = ANY_NAME
    by_project: Mapping[str, LabelNames] = field(default_factory=dict)

    @classmethod
    def read(cls, allowed: str, denied: str) -> Self:
        """Read two lists with commas; `project:name` counts for one project alone.

        Raises:
            ValueError: when an item cannot be the name of a label.
        """
        allow, deny = _by_project(allowed), _by_project(denied)

        def names(project: str) -> LabelNames:
            wanted = allow.get("", frozenset()) | allow.get(project, frozenset())
            refused = deny.get("", frozenset()) | deny.get(project, frozenset())
            return LabelNames(allowed=wanted or None, denied=refused)

        return cls(everywhere=names(""), by_project={name: names(name) for name in (allow | deny) if name})

    def of(self, project_id: str) -> LabelNames:
        """Return the names that one project's events may have."""
        return self.by_project.get(project_id, self.everywhere)


def labels_of(attributes: Mapping[str, object], names: LabelNames = ANY_NAME) -> tuple[str, ...]:
    """Return at most `MAX_LABELS` distinct labels, the best known names first."""
    found: dict[str, None] = {}
    for name, may_count in _judged(tuple(attributes), names):
        value = attributes[name]
        if type(value) in _SCALARS:  # nearly all are
            label = _label_of(name, value) if may_count else None
            if label is not None:
                found[label] = None
        else:
            found.update(dict.fromkeys(_labels(name, value, names)))
    return tuple(found)[:MAX_LABELS]


@lru_cache(maxsize=512)  # a project's events have the same few lists of names
def _judged(attributes: tuple[str, ...], names: LabelNames) -> tuple[tuple[str, bool], ...]:
    """Return each name, the best known first, and whether a value of it may become a label."""
    known = [name for name in _FIRST if name in attributes]
    ordered = (*known, *(name for name in attributes if name not in _FIRST))
    return tuple((name, _may_count(name) and names.admit(name)) for name in ordered)


def _by_project(text: str) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        project, colon, name = item.partition(":")
        if not colon:
            project, name = "", item
        if not name or len(name) > MAX_NAME_CHARS or "=" in name:
            raise ValueError(f"{item!r} is no name of a label: write name or project:name")
        found.setdefault(project, set()).add(name)
    return {project: frozenset(names) for project, names in found.items()}


def split(label: str) -> tuple[str, str]:
    """Split a label into name and value; a name holds no `=`."""
    name, _, value = label.partition("=")
    return name, value


def _labels(name: str, value: object, names: LabelNames, depth: int = 0) -> Iterator[str]:
    if isinstance(value, Mapping):
        if depth == 0:
            for member, inner in value.items():
                yield from _labels(f"{name}.{member}", inner, names, depth=1)
        return
    if not _may_count(name) or not names.admit(name):
        return
    for item in value if isinstance(value, list | tuple) else (value,):
        text = _text(item)
        if text is not None:
            yield f"{name}={text}"


@lru_cache(maxsize=16_384, typed=True)  # the same ones come again and again; true is not 1
def _label_of(name: str, value: object) -> str | None:
    text = _word(str(value)) if type(value) is int and name in PEOPLE else _text(value)
    return None if text is None else f"{name}={text}"


@lru_cache(maxsize=1024)  # a project has few names, and every event asks again
def _may_count(name: str) -> bool:
    fits = len(name) <= MAX_NAME_CHARS and "=" not in name and name.isprintable()
    return fits and name not in _NEVER and not _MEASURE.search(name) and not is_secret_name(name)


def _text(value: object) -> str | None:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return _number(value)
        case str():
            return _word(value) if len(value) <= MAX_VALUE_CHARS else None
        case _:
            return None


def _number(value: float) -> str | None:
    if value != value or abs(value) >= 1e15:  # not a number, or an id
        return None
    if abs(value) < MAX_EXACT:
        return str(int(value)) if value == int(value) else None
    sign, rest = ("-", -value) if value < 0 else ("", value)
    power = 10 ** (len(str(int(rest))) - 1)
    low = max(step for step in (1, 2, 5) if step * power <= rest) * power
    high = {1: 2, 2: 5, 5: 10}[low // power] * power - 1
    return f"{sign}{low}..{high}"


@lru_cache(maxsize=4096)  # labels are values that come again
def _word(value: str) -> str | None:
    text = value.strip()
    fits = text and text.isprintable()
    return text if fits and not _ID.fullmatch(text) and not _is_secret(text) else None


def _is_secret(text: str) -> bool:
    return (len(text) >= MIN_SECRET_CHARS or "@" in text) and holds_secret(text)
