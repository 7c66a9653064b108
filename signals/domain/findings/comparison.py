"""The input of the comparison: bounded counts of failing and working events, never the events themselves.

One request to the index gives all but pairs: four filters, in each a terms aggregation over `labels`, and one
over `template`. A second and small one counts pairs of the labels that the first has shown to be candidates.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Literal

from signals.domain.findings.labels import PEOPLE, split
from signals.domain.findings.onset import Onset

MAX_TERMS: Final = 200  # labels counted a window; the terms aggregation's size
MAX_PAIRED: Final = 40  # labels that are counted in pairs; its square bounds the buckets
MAX_TEMPLATES: Final = 50
MAX_SAMPLES: Final = 5  # messages a template
MAX_CHANGE_CHARS: Final = 200
BEFORE_MINUTES: Final = 60
MANY_VALUES: Final = 20  # a name with so many listed values has more that are not listed
MIN_SERVED: Final = 3  # working events that carry a label; fewer do not prove an ordinary value


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonWindow:
    """Counts of one set of events. A list that is cut holds the most frequent: absent is then not zero.

    `pairs` holds each pair of `paired` labels that some event carries, the smaller label first.
    """

    total: int = 0
    labels: Mapping[str, int] = field(default_factory=dict)
    pairs: Mapping[tuple[str, str], int] = field(default_factory=dict)
    paired: frozenset[str] = frozenset()
    templates: Mapping[str, int] = field(default_factory=dict)
    is_cut: bool = False
    names: Mapping[str, int] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Add up carriers by name once: every group asks for them."""
        sums: Counter[str] = Counter()
        values: Counter[str] = Counter()
        for label, count in self.labels.items():
            name = split(label)[0]
            sums[name] += count
            values[name] += 1
        names = {
            name: self.total if self.is_cut and values[name] >= MANY_VALUES else min(self.total, count)
            for name, count in sums.items()
        }
        object.__setattr__(self, "names", names)

    def count(self, label: str) -> int:
        """Return how many events carry the label; of one that was cut off, the most it can be."""
        found = self.labels.get(label)
        if found is not None:
            return found
        return min(self.labels.values(), default=0) if self.is_cut else 0

    def both(self, one: str, other: str) -> int | None:
        """Return how many events carry both labels, None when pairs of them were not counted."""
        found = self.pairs.get((one, other) if one < other else (other, one))
        if found is not None:
            return found
        return 0 if self._paired(one) and self._paired(other) else None

    def _paired(self, label: str) -> bool:
        return label in self.paired or (label not in self.labels and not self.is_cut)

    def carriers(self, name: str) -> int:
        """Return about how many events carry any value of the name."""
        return self.names.get(name, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A deploy or a custom event before the onset; `times` is how often its like has come."""

    event_id: str
    kind: Literal["deploy", "custom"]
    at: datetime
    text: str
    labels: tuple[str, ...]
    times: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Events that failed, events that worked in the same minutes, and events of the hour before.

    For a drop of signups `failing` is empty, `working` counts the signups that still came, `working_before`
    those of the hour before, and `errors` all errors of the same minutes. `failing_before` are the incident's
    own failures in the hour before, `route_errors_before` all errors of its route. `fixed` are names that
    the fingerprint fixes, `words` its values.
    """

    is_drop: bool
    onset: Onset
    now: int  # minute since the epoch, the last that was counted
    words: tuple[str, ...]
    fixed: frozenset[str]
    failing: ComparisonWindow
    working: ComparisonWindow
    working_before: ComparisonWindow
    errors_before: ComparisonWindow
    failing_before: ComparisonWindow = field(default_factory=ComparisonWindow)
    route_errors_before: ComparisonWindow = field(default_factory=ComparisonWindow)
    errors: ComparisonWindow = field(default_factory=ComparisonWindow)
    samples: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()
    distinct: Mapping[str, int] = field(default_factory=dict)

    @property
    def minutes(self) -> int:
        """How long the compared minutes last."""
        return self.now - self.onset.minute + 1

    @property
    def events(self) -> int:
        """How many events rates rest on."""
        return self.failing.total + self.working.total + self.working_before.total

    @property
    def has_working(self) -> bool:
        """Whether the project sends working requests at all."""
        return self.working.total + self.working_before.total >= MANY_VALUES


def samples_of(messages: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """Keep the first messages of each template, of pairs of both."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for template, message in messages:
        if len(found[template]) < MAX_SAMPLES:
            found[template].append(message)
    return {template: tuple(kept) for template, kept in found.items()}


def distinct_of(labels: Iterable[str]) -> dict[str, int]:
    """Count the people and regions that the labels of failing events name."""
    values: defaultdict[str, set[str]] = defaultdict(set)
    for label in labels:
        name, value = split(label)
        if name in (*PEOPLE, "region"):
            values[name].add(value)
    return {name: len(found) for name, found in values.items()}


def change_text(message: str) -> str:
    """Return a change's message as one line of bounded length."""
    return " ".join(message.split())[:MAX_CHANGE_CHARS]


def with_pairs(
    comparison: Comparison,
    labels: Collection[str],
    *,
    failing: Mapping[tuple[str, str], int],
    working: Mapping[tuple[str, str], int],
) -> Comparison:
    """Add the counts of pairs of these labels; each key holds the smaller label first."""
    return replace(
        comparison,
        failing=_paired(comparison.failing, labels, failing),
        working=_paired(comparison.working, labels, working),
    )


def _paired(
    window: ComparisonWindow, labels: Collection[str], pairs: Mapping[tuple[str, str], int]
) -> ComparisonWindow:
    # Events may have come after single labels were counted: a pair is never more than either label.
    known = {
        (one, other): min(count, window.count(one), window.count(other))
        for (one, other), count in pairs.items()
    }
    return replace(window, pairs=known, paired=frozenset(labels))
