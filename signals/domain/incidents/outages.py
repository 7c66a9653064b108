"""Groups incidents to outages: the fewest attribute values that explain which series fired.

The first incident begins an outage. What opens within five minutes is gathered, then the cover decides;
until minute ten it is decided again, and only merges. Later incidents of the same value join.
Source: docs/concepts/detection.md.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Final

GATHER_MINUTES: Final = 5  # decided: what opens with the first incident is one message
REVISE_MINUTES: Final = 10  # decided: until then members move between outages, never later
JOIN_MINUTES: Final = 30  # after the outage's newest member, latecomers of the same value join
COVERED_SHARE: Final = 0.6  # of a value's active series must have fired for the value to explain them
PROJECT_SERIES: Final = 4  # fired series from which "the whole project" may be the cause (guess)
WIDE_ATTRIBUTES: Final = ("environment", "release")  # that nearly all series share: they explain only many
RULE: Final = "rule"  # attribute of a series of a rule that people wrote: it explains what nothing else does
MAX_EXACT: Final = 3  # values of an exact cover; more are chosen one by one
MAX_CANDIDATES: Final = 40  # values tried for an exact cover: ten thousand triples, some 20 ms

EVERYTHING: Final = ("project", "*")

Value = tuple[str, str]
"""An attribute and its value; `EVERYTHING` for the whole project."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """An incident as grouping sees it: a number, its series, the series' attributes, and when it opened."""

    number: int
    series: str
    attributes: Mapping[str, str]
    opened_at: int


@dataclass(slots=True, kw_only=True)
class Outage:
    """Incidents with one cause. `cause` is None for a series alone."""

    cause: Value | None
    members: list[Member] = field(default_factory=list)

    @property
    def opened_at(self) -> int:
        """When its first member opened."""
        return min(member.opened_at for member in self.members)

    @property
    def newest_at(self) -> int:
        """When its last member opened."""
        return max(member.opened_at for member in self.members)


SeriesAttributes = Mapping[str, Mapping[str, str]]
"""Series by name, with their attributes."""

Active = Callable[[int], SeriesAttributes]
"""Returns the series that had an event in the day before a minute."""


def group(members: Sequence[Member], active: Active) -> list[Outage]:
    """Group the incidents of one project, given in order of opening."""
    outages: list[Outage] = []
    waiting: list[Member] = []
    for member in members:
        if waiting and member.opened_at > waiting[0].opened_at + REVISE_MINUTES:
            outages += settle(waiting, active(waiting[0].opened_at))
            waiting = []
        if not waiting and (known := _joins(member, outages)) is not None:
            known.members.append(member)
        else:
            waiting.append(member)
    return outages + (settle(waiting, active(waiting[0].opened_at)) if waiting else [])


def may_join(member: Member, cause: Value | None, *, begun: int, newest_at: int) -> bool:
    """Say whether an incident has the cause of an outage, soon enough after the outage's newest member.

    Everything has the cause `EVERYTHING`, and nearly everything the environment: an unrelated failure would
    join without a word to anybody. So that outage, which began in minute `begun`, takes nothing more once it
    is settled.
    """
    if cause is None or not has(member.attributes, cause):
        return False
    if cause == EVERYTHING or cause[0] == "environment":
        return member.opened_at - begun <= REVISE_MINUTES
    return member.opened_at - newest_at <= JOIN_MINUTES


def _joins(member: Member, outages: Iterable[Outage]) -> Outage | None:
    """Return the newest outage that the latecomer belongs to."""
    for outage in reversed(list(outages)):
        is_soon = member.opened_at - outage.newest_at <= JOIN_MINUTES
        if is_soon and any(member.series == other.series for other in outage.members):
            return outage
        if may_join(member, outage.cause, begun=outage.opened_at, newest_at=outage.newest_at):
            return outage
    return None


def settle(waiting: Sequence[Member], known: SeriesAttributes) -> list[Outage]:
    """Decide what began together: at minute five, and again with what came until minute ten.

    `waiting` are members in order of opening, `known` the series that were active before the first.
    """
    begun = waiting[0].opened_at
    first = [member for member in waiting if member.opened_at <= begun + GATHER_MINUTES]
    whole = _cover(waiting, known)
    early = _cover(first, known)
    # The later decision may only merge: values of the first one stay, unless fewer explain all.
    if len(whole) <= len(early) or len(first) == len(waiting):
        return _assign(waiting, whole)
    late = [member for member in waiting if not any(has(member.attributes, cause) for cause in early)]
    return _assign(waiting, [*early, *_cover(late, known)] if late else early)


def explained_by(outage: Outage, known: SeriesAttributes) -> tuple[int, int]:
    """Return how many series fired with the outage's cause, and how many that have it were active."""
    assert outage.cause is not None
    fired = {member.series for member in outage.members}
    active = {name for name, have in known.items() if has(have, outage.cause)}
    return len(fired), len(fired | active)


def _assign(members: Sequence[Member], causes: Sequence[Value]) -> list[Outage]:
    outages = {cause: Outage(cause=cause) for cause in causes}
    alone: dict[str, Outage] = {}
    for member in members:
        cause = next((cause for cause in causes if has(member.attributes, cause)), None)
        if cause is None:
            alone.setdefault(member.series, Outage(cause=None)).members.append(member)
        else:
            outages[cause].members.append(member)
    found = [outage for outage in (*outages.values(), *alone.values()) if outage.members]
    return sorted(found, key=lambda outage: outage.opened_at)


def _cover(members: Sequence[Member], active: SeriesAttributes) -> list[Value]:
    """Return the fewest values that explain the members, best explained first; single series are left out."""
    fired = {member.series: member.attributes for member in members}
    # A rule at rest says nothing about the others: it counts the same events by another bound.
    rules = {have.get(RULE) for have in fired.values()} | {None}
    everyone = {name: have for name, have in {**active, **fired}.items() if have.get(RULE) in rules}
    if len(fired) < 2:
        return []
    if len(fired) >= PROJECT_SERIES and len(fired) >= COVERED_SHARE * len(everyone) and not _one_value(fired):
        return [EVERYTHING]
    shares = _shares(fired, everyone)
    by_attribute = [value for value in shares if value[0] != RULE]
    strong = [value for value in by_attribute if shares[value] >= COVERED_SHARE]
    narrow = [value for value in by_attribute if value[0] not in WIDE_ATTRIBUTES]
    chosen: list[Value] = []
    for values in (strong, narrow, [value for value in shares if value[0] == RULE]):
        rest = {name: have for name, have in fired.items() if not any(has(have, one) for one in chosen)}
        chosen += _fewest(rest, values, shares) if len(rest) > 1 else []
    return chosen


def _one_value(fired: SeriesAttributes) -> bool:
    """Say whether all share one value, which is a better word than the whole project."""
    pairs = [set(have.items()) for have in fired.values()]
    return any(name not in (*WIDE_ATTRIBUTES, RULE) for name, _ in set.intersection(*pairs))


def _shares(fired: SeriesAttributes, everyone: SeriesAttributes) -> dict[Value, float]:
    """Return the share of active series that fired, for each value that enough fired series have."""
    have, of = defaultdict[Value, int](int), defaultdict[Value, int](int)
    for name, attributes in everyone.items():
        for value in attributes.items():
            of[value] += 1
            have[value] += name in fired
    return {
        value: count / of[value]
        for value, count in have.items()
        if count >= (PROJECT_SERIES if value[0] in WIDE_ATTRIBUTES else 2)
    }


def _fewest(fired: SeriesAttributes, values: Sequence[Value], shares: Mapping[Value, float]) -> list[Value]:
    """Cover as many of `fired` as `values` can with as few of them; among equals, with the best explained."""
    covers = {value: frozenset(name for name, have in fired.items() if has(have, value)) for value in values}
    covers = {value: names for value, names in covers.items() if len(names) > 1}
    if not covers:
        return []
    wanted = frozenset().union(*covers.values())
    ordered = sorted(
        covers, key=lambda value: (value[0] in WIDE_ATTRIBUTES, value)
    )  # of equals, the narrow one
    for size in range(1, MAX_EXACT + 1 if len(covers) <= MAX_CANDIDATES else 1):
        best: tuple[float, tuple[Value, ...]] | None = None
        for chosen in combinations(ordered, size):
            if frozenset().union(*(covers[value] for value in chosen)) != wanted:
                continue
            quality = sum(shares[value] for value in chosen) / size
            if best is None or quality > best[0]:
                best = quality, chosen
        if best is not None:
            return _by_share(best[1], shares)
    return _greedy(covers, wanted, shares)


def _greedy(
    covers: Mapping[Value, Collection[str]], wanted: frozenset[str], shares: Mapping[Value, float]
) -> list[Value]:
    chosen: list[Value] = []
    left = set(wanted)
    while left:
        value = max(covers, key=lambda value: (len(left & set(covers[value])), shares[value], value))
        left -= set(covers[value])
        chosen.append(value)
    return _by_share(chosen, shares)


def _by_share(values: Iterable[Value], shares: Mapping[Value, float]) -> list[Value]:
    return sorted(values, key=lambda value: (-shares[value], value))


def has(attributes: Mapping[str, str], value: Value) -> bool:
    """Say whether a series has an attribute's value; every one has `EVERYTHING`."""
    return value == EVERYTHING or attributes.get(value[0]) == value[1]
