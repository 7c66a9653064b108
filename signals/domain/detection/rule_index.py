"""Finds the series of a project's own rules that an event counts in.

A hundred rules cost little more than two: selections are looked up by event type and by their most selective
attribute, and the answer is kept for every kind of event.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from shared_types.envelope import TEXT_ATTRIBUTES
from signals.domain.detection.buckets import Series
from signals.domain.detection.own_rules import CONDITIONS, OwnRule, conditions_of
from signals.domain.detection.rule_types import EventSelection

MOST_KINDS: Final = 8_192  # of events whose answers are kept, at about 0.5 KB each

Kind = tuple[object, ...]
"""Org, project, environment and type of an event, and its text attributes in the envelope's order."""
Values = Mapping[str, str | None]
"""An event's value of each attribute of a rule."""


@dataclass(frozen=True, slots=True)
class RuleHit:
    """A series that an event counts in; `is_whole`: as the denominator of a rate, else as its numerator."""

    own: OwnRule
    series: Series
    is_part: bool
    is_whole: bool


@dataclass(slots=True)
class _Candidates:
    """The rules of one event type: those with a condition by its value, and the others."""

    always: list[OwnRule] = field(default_factory=list)
    by_value: dict[str, dict[str, list[OwnRule]]] = field(default_factory=dict)

    def add(self, own: OwnRule, selection: EventSelection) -> None:
        conditions = conditions_of(selection)
        if not conditions:
            self.always.append(own)
            return
        name = min(conditions, key=lambda one: (len(conditions[one]), CONDITIONS.index(one)))
        for value in conditions[name]:
            self.by_value.setdefault(name, {}).setdefault(str(value), []).append(own)

    def of(self, values: Values) -> Iterator[OwnRule]:
        yield from self.always
        for name, rules in self.by_value.items():
            if (value := values[name]) is not None:
                yield from rules.get(value, ())


class RuleIndex:
    """The own rules of one project, compiled. Not for several threads."""

    def __init__(self, rules: Sequence[OwnRule]) -> None:
        self.by_metric: Mapping[str, OwnRule] = {own.metric_name: own for own in rules}
        self._by_type: dict[str, _Candidates] = {}
        self._known: dict[tuple[Kind, str, int | None], tuple[RuleHit, ...]] = {}
        for own in rules:
            for selection in own.rule.parts:
                self._by_type.setdefault(selection.event_type.value, _Candidates()).add(own, selection)

    def hits(self, kind: Kind, severity: str, status_code: int | None) -> tuple[RuleHit, ...]:
        """Return the series that such events count in; texts of the kind are as events hold them."""
        key = (kind, severity, status_code)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= MOST_KINDS:
                self._known.clear()
            found = self._known[key] = tuple(self._found(kind, severity, status_code))
        return found

    def _found(self, kind: Kind, severity: str, status_code: int | None) -> Iterator[RuleHit]:
        org_id, project_id, environment, event_type, *texts = map(_text, kind)
        candidates = self._by_type.get(event_type or "")
        if candidates is None:
            return
        values = dict(zip(TEXT_ATTRIBUTES, texts, strict=True))
        values |= {"environment": environment, "severity": severity, "status_code": _text(status_code)}
        for own in dict.fromkeys(candidates.of(values)):
            is_part = selects(own.rule.on, event_type, values)
            whole = own.rule.whole
            is_whole = whole is not None and selects(whole, event_type, values)
            if is_part or is_whole:
                yield RuleHit(own, own.series(org_id or "", project_id or "", values), is_part, is_whole)


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def selects(selection: EventSelection, event_type: str | None, values: Values) -> bool:
    """Say whether an event of this type and these values is selected."""
    if event_type != selection.event_type:
        return False
    return all(values[name] in allowed for name, allowed in conditions_of(selection).items())
