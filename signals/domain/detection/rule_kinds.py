"""The kinds of rules as a document: each field with its bounds, read from the types themselves."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, get_args

import msgspec
from msgspec import inspect

from signals.domain.detection.rule_types import Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleField:
    """One field: `kind` in words; bounds of a number are its values, of a text or list its length.

    `words` say a pattern, `values` are the only ones possible. `fields` are those of an object, or of the
    objects in a list. `allowed` says all of it in one phrase.
    """

    name: str
    kind: str
    required: bool = False
    default: Any = None
    minimum: float | None = None
    maximum: float | None = None
    is_above_minimum: bool = False
    pattern: str | None = None
    words: str | None = None
    values: tuple[str, ...] = ()
    fields: tuple["RuleField", ...] = ()
    allowed: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "allowed", self._phrase())

    def _phrase(self) -> str:
        if self.values:
            many = "a list of " if self.kind.startswith("list") else "one of "
            return many + ", ".join(self.values)
        if self.kind.endswith("number"):
            return self.kind + _bounds(self.minimum, self.maximum, is_above=self.is_above_minimum)
        size = _size(self.minimum, self.maximum)
        if self.kind == "text":
            return f"text of {self.words or size + ' characters'}"
        inner = f" with the fields {', '.join(one.name for one in self.fields)}" if self.fields else ""
        return self.kind + inner + (f", {size} of them" if size else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleKind:
    """A kind of rule: when it fires, and its fields."""

    kind: str
    fires: str
    fields: tuple[RuleField, ...]


SERVED: Final = frozenset({"version", "locked"})
"""Fields that the product counts or sets itself."""


def _bounds(minimum: float | None, maximum: float | None, *, is_above: bool) -> str:
    low = "" if minimum is None else f" above {minimum:g}" if is_above else f" from {minimum:g}"
    return low + ("" if maximum is None else f" up to {maximum:.10g}")


def _size(least: float | None, most: float | None) -> str:
    if least is None:
        return "" if most is None else f"at most {most:.10g}"
    return f"{least:g} or more" if most is None else f"{least:g} to {most:.10g}"


def _kinds() -> Iterator[RuleKind]:
    for struct in get_args(Rule):
        info = inspect.type_info(struct)
        assert isinstance(info, inspect.StructType)
        doc = (struct.__doc__ or "").strip().partition("\n")[0]
        fields = tuple(_field(one) for one in info.fields if one.name not in SERVED)
        kind = RuleField(name="kind", kind="text", required=True, values=(str(info.tag),))
        yield RuleKind(kind=str(info.tag), fires=doc, fields=(fields[0], kind, *fields[1:]))


def _field(one: inspect.Field) -> RuleField:
    return RuleField(name=one.name, required=one.required, default=_default(one), **_described(one.type))


def _default(one: inspect.Field) -> Any:
    if one.default is not msgspec.NODEFAULT:
        return msgspec.to_builtins(one.default)
    if one.default_factory is not msgspec.NODEFAULT:
        return msgspec.to_builtins(one.default_factory())
    return None


def _described(kind: inspect.Type) -> dict[str, Any]:
    """Return the part of a field that its type decides."""
    match kind:
        case inspect.Metadata():
            words = (kind.extra_json_schema or {}).get("description")
            return _described(kind.type) | ({"words": words} if words else {})
        case inspect.UnionType():
            return _described(next(one for one in kind.types if not isinstance(one, inspect.NoneType)))
        case inspect.IntType():
            return {"kind": "whole number", **_range(kind)}
        case inspect.FloatType():
            return {"kind": "number", **_range(kind)}
        case inspect.BoolType():
            return {"kind": "yes or no", "values": ("true", "false")}
        case inspect.LiteralType():
            return {"kind": "text", "values": tuple(map(str, kind.values))}
        case inspect.EnumType():
            return {"kind": "text", "values": tuple(one.value for one in kind.cls)}
        case inspect.StrType():
            text = {"minimum": kind.min_length, "maximum": kind.max_length, "pattern": kind.pattern}
            return {"kind": "text", **text}
        case inspect.StructType():
            return {"kind": "object", "fields": tuple(_field(one) for one in kind.fields)}
        case inspect.VarTupleType():
            item = _described(kind.item_type)
            length = {"minimum": kind.min_length, "maximum": kind.max_length}
            inner: dict[str, Any] = {name: item[name] for name in ("values", "fields") if name in item}
            return {"kind": f"list of {item['kind']}s", **length, **inner}
    raise AssertionError(f"no words for {kind}")


def _range(kind: inspect.IntType | inspect.FloatType) -> dict[str, Any]:
    low = kind.ge if kind.ge is not None else kind.gt
    return {"minimum": low, "maximum": kind.le, "is_above_minimum": kind.gt is not None}


RULE_KINDS: Final[tuple[RuleKind, ...]] = tuple(_kinds())
"""Every kind, in the order of the documentation."""
_BY_KIND: Final[Mapping[str, RuleKind]] = {one.kind: one for one in RULE_KINDS}


def field_at(kind: object, path: Sequence[str]) -> RuleField | None:
    """Return the field of a kind at a path of names, None when there is none."""
    if list(path) == ["kind"]:
        return RuleField(name="kind", kind="text", required=True, values=tuple(_BY_KIND))
    found: RuleField | None = None
    fields = _BY_KIND[kind].fields if isinstance(kind, str) and kind in _BY_KIND else ()
    for name in path:
        found = next((one for one in fields if one.name == name), None)
        if found is None:
            return None
        fields = found.fields
    return found


def names_at(kind: object, path: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the fields below a path, of the rule itself for an empty one."""
    found = field_at(kind, path) if path else _BY_KIND.get(str(kind))
    return tuple(one.name for one in found.fields) if found else ()
