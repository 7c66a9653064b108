"""Innocent changes beside a cause, no visible cause at all, and projects that send errors alone."""

from dataclasses import replace
from random import Random

from signals.cases.kinds.places import known_tenant, one_pod, zone_down
from signals.cases.kinds.planting import Made, Truth, deploy, everything, full_from, ramp, when
from signals.cases.traffic import ONSET, Marker, PlantedFault, World


def innocent_canary(chance: Random) -> Made:
    """A canary just before; a zone is the cause."""
    world, truth = zone_down(chance)
    gap = chance.uniform(1, 5)
    world = replace(world, rollout=lambda at: 0.5 if at >= ONSET - gap else 0, markers=(deploy(ONSET - gap),))
    return world, replace(truth, forbidden_first=("r813",))


def innocent_release(chance: Random) -> Made:
    """A release for all users just before; a tenant is the cause."""
    world, truth = known_tenant(chance)
    gap = chance.uniform(1, 9)
    world = replace(world, rollout=full_from(ONSET - gap), markers=(deploy(ONSET - gap),))
    return world, replace(truth, forbidden_first=("r813",))


def innocent_flag(chance: Random) -> Made:
    """A flag was switched just before; a pod is the cause."""
    world, truth = one_pod(chance)
    marker = Marker(
        minute=ONSET - 3, kind="custom", message="dark-mode is on", attributes={"flag": "dark-mode"}
    )
    return replace(world, markers=(marker,)), replace(truth, forbidden_first=("dark-mode",))


def blind(chance: Random) -> Made:
    """Failures are spread over everything and say nothing."""
    text = chance.choice(
        ("something went wrong", "request failed", "unexpected error", "Internal Server Error")
    )
    fault = PlantedFault(chance=when(everything, chance.uniform(0.3, 0.9)), code="UNEXPECTED", message=text)
    return World(faults=(fault,)), Truth(abstain=True)


def blind_canary(chance: Random) -> Made:
    """As `blind`, with a canary that fails like the rest."""
    world, truth = blind(chance)
    gap = chance.uniform(1, 12)
    world = replace(world, rollout=lambda at: 0.4 if at >= ONSET - gap else 0, markers=(deploy(ONSET - gap),))
    return world, replace(truth, forbidden_first=("r813",))


def blind_release(chance: Random) -> Made:
    """As `blind`, with a release for all users that served well before."""
    world, truth = blind(chance)
    gap = chance.uniform(5, 40)
    world = replace(world, rollout=full_from(ONSET - gap), markers=(deploy(ONSET - gap),))
    return world, replace(truth, forbidden_first=("r813",))


def blind_ramp(chance: Random) -> Made:
    """As `blind`, growing slowly."""
    fault = PlantedFault(chance=ramp(everything, 0.8, 7), code="UNEXPECTED", message="something went wrong")
    return World(faults=(fault,)), Truth(abstain=True)


def errors_only_zone(chance: Random) -> Made:
    """A project that sends errors alone."""
    world, truth = zone_down(chance)
    return replace(world, sends_working=False, requests_a_minute=220), truth


def errors_only_blind(chance: Random) -> Made:
    """Errors alone, and nothing to be seen."""
    world, truth = blind(chance)
    return replace(world, sends_working=False, requests_a_minute=200), truth
