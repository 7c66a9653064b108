"""Groups of requests that one or several labels describe, and how their failing compares with the rest.

A group is found by likelihood: two rates, inside and outside, must explain failing and working better than
one, by more than the number of groups that were tried can give by chance (a Bayesian information criterion).
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from signals.domain.findings.comparison import Comparison, ComparisonWindow
from signals.domain.findings.labels import split
from signals.domain.findings.statistics import Cells, ConfidenceInterval, attributable

Form = Literal["value", "pair", "set", "range", "absence"]
Reference = Literal["working", "before", "errors"]

MIN_FAILING: Final = 5  # failing requests inside a group that is named
MIN_COVERAGE: Final = 0.15  # of the failing; less cannot be the first or second cause
MIN_EXPLAINED: Final = 0.25  # the attributable fraction of what is named
MIN_NET: Final = 3.0  # nats beyond the price: one blind incident in about twenty names a group by chance
MIN_CARRIED: Final = 0.5  # of the failing must carry a name at all
UNEVEN: Final = 0.9  # carried by fewer working requests: compared among carriers alone

_EFFECTS: Final = re.compile(
    r"(?i)^(?:status|error|severity|level|exception|err|retry|retries|attempt|outcome|result|success|ok)"
    r"(?:$|[_.-])|(?:^|[_.-])(?:error|exception|status|stack)(?:$|[_.-](?:code|class|type|name|message))"
)
_STORY: Final = re.compile(
    r"(?i)cause|reason|\broot|(?<![a-z])note|comment|confiden|hint|\bfix|advice|suspect|culprit|blame|instruct|prompt|diagnos"
    r"|expla|summar|resol|(?<![a-z])action|answer|verdict|finding|guilt|evidence|conclu|recommend|remed|^(?:ai|system|assistant)"
)
_VERSION: Final = re.compile(r"(?i)release|^version|build|revision|commit|deploy|\btag$|sha$")
_FORMER: Final = re.compile(r"(?i)previous|old|from|before")
_NAME: Final = re.compile(r"[A-Za-z_][\w.-]{0,47}")
_ORDINARY: Final = re.compile(r"[\w.+:/@%(),;& -]{1,64}")
_IDENTIFIER: Final = re.compile(r"[\w.+:/@%-]{1,64}")
_LAST_CHOICE: Final = ("method", "user_agent", "environment", "country", "locale", "language", "currency")
_FIRST_CHOICE: Final = ("release", "customer_id", "tenant", "org", "account", "region", "host")


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A group: requests that carry all (`pair`) or one (`set`, `range`) of the labels, with its four counts.

    `gain` is the likelihood that the group explains, `net` what is left of it after the price of the search.
    `twins` are labels of the same requests, indistinguishable by the comparison.
    """

    form: Form
    labels: tuple[str, ...]
    cells: Cells
    net: float
    reference: Reference = "working"
    twins: tuple[str, ...] = ()

    @property
    def explained(self) -> ConfidenceInterval:
        """The share of the failing that the group accounts for."""
        return attributable(self.cells)

    @property
    def is_strong(self) -> bool:
        """Whether it may be named."""
        return (
            self.net > MIN_NET
            and self.cells.failing_in >= MIN_FAILING
            and self.cells.coverage >= MIN_COVERAGE
            and self.explained.value >= MIN_EXPLAINED
        )


def nameable(label: str, comparison: Comparison) -> bool:
    """Whether a label describes a group: no effect of failing, no story, and safe to quote."""
    name = split(label)[0]
    if name in comparison.fixed or _EFFECTS.search(name) or _STORY.search(name):
        return False
    served = comparison.working.labels.get(label, 0) + comparison.working_before.labels.get(label, 0)
    return is_quotable(label, ordinary=served > 0)


def is_quotable(label: str, *, ordinary: bool = False) -> bool:
    """Whether a label may be written: no link and no markup, spaces only where working requests have them."""
    name, value = split(label)
    shape = _ORDINARY if ordinary else _IDENTIFIER
    return _NAME.fullmatch(name) is not None and shape.fullmatch(value) is not None and "//" not in value


def is_story(label: str) -> bool:
    """Whether a label claims an explanation: such a name is a place for text that misleads."""
    return _STORY.search(split(label)[0]) is not None


def is_version(label: str) -> bool:
    """Whether a label says which release served a request."""
    name = split(label)[0]
    return _VERSION.search(name) is not None and _FORMER.search(name) is None


def candidates(comparison: Comparison) -> list[str]:
    """Return the labels of failing requests whose names working requests carry as well."""
    return [
        label
        for label in comparison.failing.labels
        if nameable(label, comparison) and _is_compared(split(label)[0], comparison)
    ]


def compared_names(comparison: Comparison) -> tuple[str, ...]:
    """Return the names that were compared, for a summary that found nothing."""
    return tuple(dict.fromkeys(split(label)[0] for label in candidates(comparison)))


@dataclass(frozen=True, slots=True)
class Prices:
    """Cost of naming a group in nats: a second rate (Schwarz 1978), and the choice among all groups alike.

    A name is chosen among names, then values among its values: a name with hundreds of values, like that of
    customers, does not make it harder to name a region.
    """

    rate: float
    names: int
    values: Mapping[str, int]

    @classmethod
    def of(cls, comparison: Comparison) -> "Prices":
        """Count the choices of a comparison."""
        labels = {*candidates(comparison), *comparison.working.labels}
        compared = {split(label)[0] for label in candidates(comparison)}
        values = Counter(split(label)[0] for label in labels if split(label)[0] in compared)
        size = max(2, comparison.failing.total + comparison.working.total)
        return cls(rate=0.5 * math.log(size), names=max(2, len(compared)), values=values)

    def value(self, label: str) -> float:
        """Price one label."""
        return self.rate + self._choice(label)

    def pair(self, one: str, other: str) -> float:
        """Price two labels of different names."""
        return self.rate + self._choice(one) + self._choice(other)

    def chosen(self, label: str, size: int) -> float:
        """Price a set of so many values of the label's name."""
        values = max(self.values.get(split(label)[0], 2), size)
        return self.rate + math.log(self.names) + math.log(math.comb(values, size)) + size - 1

    def end(self, label: str) -> float:
        """Price one end of ordered values."""
        return self.rate + self._choice(label) + math.log(2)

    def _choice(self, label: str) -> float:
        return math.log(self.names) + math.log(max(2, self.values.get(split(label)[0], 2)))


def cells_of(label: str, failing: ComparisonWindow, working: ComparisonWindow) -> Cells:
    """Count inside and outside one label, among carriers of its name when only some requests carry it."""
    name = split(label)[0]
    total, served = failing.total, working.total
    carriers, serving = failing.carriers(name), working.carriers(name)
    if carriers >= UNEVEN * total and MIN_FAILING <= serving < UNEVEN * served:
        total, served = carriers, serving
    inside, worked = failing.count(label), working.count(label)
    return Cells(
        failing_in=inside,
        failing_out=max(0, total - inside),
        working_in=worked,
        working_out=max(0, served - worked),
    )


def singles(comparison: Comparison, *, absences: bool) -> Iterator[Segment]:
    """Yield every label as a group of its own, and the absence of a name where that may matter."""
    prices = Prices.of(comparison)
    for label in candidates(comparison):
        cells = cells_of(label, comparison.failing, comparison.working)
        yield Segment(form="value", labels=(label,), cells=cells, net=cells.gain - prices.value(label))
    if absences:
        yield from _absences(comparison, prices.rate + math.log(prices.names))


def order(segment: Segment) -> tuple[float, int, float]:
    """Sort groups: best explained first, then the name that a reader can act on."""
    name = split(segment.labels[0])[0]
    rank = 1
    if any(word in name for word in _FIRST_CHOICE):
        rank = 0
    elif name in _LAST_CHOICE:
        rank = 2
    return (-round(segment.net, 6), rank, -segment.cells.rate_in)


def with_twins(best: Segment, others: list[Segment], failing: ComparisonWindow) -> Segment:
    """Attach the labels that describe the same failing and nearly no other working requests."""
    if best.form != "value":
        return best
    twins = [
        other.labels[0]
        for other in others
        if other.form == "value"
        and other.labels != best.labels
        and other.cells.failing_in >= 0.97 * best.cells.failing_in  # nearly all
        and abs(other.cells.working_in - best.cells.working_in) <= 1
        and abs(other.cells.failing_in - best.cells.failing_in) <= 1
        and (failing.both(best.labels[0], other.labels[0]) or 0) >= 0.95 * best.cells.failing_in
    ]
    return replace(best, twins=tuple(twins[:2]))


def _is_compared(name: str, comparison: Comparison) -> bool:
    failing = comparison.failing
    return (
        failing.carriers(name) >= MIN_CARRIED * failing.total
        and comparison.working.carriers(name) + comparison.working_before.carriers(name) >= MIN_FAILING
    )


def _absences(comparison: Comparison, cost: float) -> Iterator[Segment]:
    """Yield names whose absence may matter: those that some working requests lack."""
    failing, working = comparison.failing, comparison.working
    names = {split(label)[0] for label in working.labels if nameable(label, comparison)}
    for name in sorted(names):
        carried, served = failing.carriers(name), working.carriers(name)
        before = comparison.working_before
        lacking = before.total - before.carriers(name)
        if served > working.total * UNEVEN + 1 and lacking < MIN_FAILING:
            continue  # errors are recorded without it: that says nothing about the cause
        cells = Cells(
            failing_in=failing.total - carried,
            failing_out=carried,
            working_in=working.total - served,
            working_out=served,
        )
        # Working requests that lack the name before prove that lacking it is a kind of request.
        if lacking >= MIN_FAILING or cells.working_in >= MIN_FAILING:
            yield Segment(form="absence", labels=(f"{name}=",), cells=cells, net=cells.gain - cost)
