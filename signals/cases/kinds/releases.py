"""Releases: for all users, for a part, slowly, and together with another attribute."""

from random import Random

from signals.cases.kinds.planting import Made, Truth, deploy, everything, full_from, named, ramp, when
from signals.cases.traffic import ONSET, PlantedFault, World


def release_full(chance: Random) -> Made:
    """A release for all users; nothing is left to compare with in the same minutes."""
    rate = chance.uniform(0.35, 0.95)
    fault = PlantedFault(
        chance=when(everything, rate), code="QUOTE_BROKEN", message="tariff {n} has no price table"
    )
    return World(faults=(fault,), rollout=full_from(ONSET), markers=(deploy(ONSET),)), named("r813")


def release_canary(chance: Random) -> Made:
    """A part of the traffic gets the release."""
    share = chance.uniform(0.2, 0.5)
    fault = PlantedFault(
        chance=when(lambda a: a["release"] == "r813", 0.8),
        code="QUOTE_BROKEN",
        message="something went wrong",
    )
    world = World(
        faults=(fault,), rollout=lambda at: share if at >= ONSET else 0, markers=(deploy(ONSET - 0.2),)
    )
    return world, named("r813")


def release_unmarked(chance: Random) -> Made:
    """A rolling release without a deploy event."""
    minutes = chance.uniform(4, 9)
    fault = PlantedFault(
        chance=when(lambda a: a["release"] == "r813", 0.7),
        code="SESSION",
        message="session {id} is in the old format",
    )
    return World(faults=(fault,), rollout=lambda at: min(1, max(0, (at - ONSET) / minutes))), named("r813")


def release_leak(chance: Random) -> Made:
    """A release that leaks: failures grow slowly after it."""
    fault = PlantedFault(
        chance=ramp(everything, 0.9, chance.uniform(8, 13)), code="OVERLOADED", message="heap is exhausted"
    )
    return World(faults=(fault,), rollout=full_from(ONSET - 1), markers=(deploy(ONSET - 1),)), Truth(
        facts=(("r813", "heap"),)
    )


def release_on_device(chance: Random) -> Made:
    """A canary breaks one kind of device: both together are the cause."""
    device = chance.choice(("ios", "android"))
    fault = PlantedFault(
        chance=when(lambda a: a["release"] == "r813" and a["device"] == device, 0.95),
        code="LAYOUT",
        message="view model is incomplete",
    )
    world = World(
        faults=(fault,),
        requests_a_minute=190,
        rollout=lambda at: 0.5 if at >= ONSET - 2 else 0,
        markers=(deploy(ONSET - 2),),
    )
    return world, named("r813", device)
