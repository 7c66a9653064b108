"""The result of a case kind, and functions that plant a fault."""

from collections.abc import Callable
from dataclasses import dataclass

from signals.cases.traffic import ONSET, Marker, TrafficAttributes, World

PlantedFacts = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """Facts that an answer must name: every group of `facts` in one cause, or one cause for each `causes`.

    `is_drop`: the incident is one of signups although errors are planted.
    """

    facts: PlantedFacts = ()
    causes: tuple[PlantedFacts, ...] = ()
    abstain: bool = False
    forbidden_first: tuple[str, ...] = ()
    canaries: tuple[str, ...] = ()
    is_drop: bool = False


Made = tuple[World, Truth]


def named(*values: str) -> Truth:
    """Return the truth that all values must be named."""
    return Truth(facts=tuple((value,) for value in values))


def when(
    test: Callable[[TrafficAttributes], bool], rate: float, begins: float = ONSET
) -> Callable[[TrafficAttributes, float], float]:
    """Fail at a rate from a minute on where the test holds."""
    return lambda attributes, at: rate if at >= begins and test(attributes) else 0.0


def ramp(
    test: Callable[[TrafficAttributes], bool], rate: float, minutes: float
) -> Callable[[TrafficAttributes, float], float]:
    """Fail more and more: from 0 at the onset to the rate after so many minutes."""
    return lambda attributes, at: (
        rate * min(1.0, max(0.0, (at - ONSET) / minutes)) if test(attributes) else 0.0
    )


def everything(_: TrafficAttributes) -> bool:
    """Hold for every request."""
    return True


def deploy(minute: float, release: str = "r813") -> Marker:
    """Return a deploy's marker."""
    return Marker(
        minute=minute, kind="deploy", message=f"release {release} is live", attributes={"release": release}
    )


def full_from(minute: float) -> Callable[[float], float]:
    """Roll out to all users at once."""
    return lambda at: 1.0 if at >= minute else 0.0
