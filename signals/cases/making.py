"""Makes labelled cases from kinds and seeds: the same kind and seed give the same events."""

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any, Final

from shared_types import Environment, EventType, Fingerprint
from signals.cases.kinds import KINDS
from signals.cases.traffic import TrafficEvent, simulate

DECOY_NAMES: Final = ("release", "zone", "device", "plan", "pod", "country", "channel", "peer", "currency")
MIN_DECOY_CHARS: Final = 3


def make_case(kind: str, seed: int) -> tuple[list[TrafficEvent], dict[str, Any]]:
    """Return the events and the truth of one case, in the format of a case file."""
    chance = Random(f"{kind}/{seed}")
    world, truth = KINDS[kind](chance)
    events = simulate(world, chance)
    facts = [
        fact for group in (*truth.facts, *(g for groups in truth.causes for g in groups)) for fact in group
    ]
    decoys = {
        str(event["attributes"].get(name, ""))
        for event in events
        for name in DECOY_NAMES
        if event["attributes"].get(name) not in facts
    }
    fault = world.faults[0] if world.faults else None
    fingerprint = Fingerprint(
        event_type=EventType.SIGNUP if fault is None or truth.is_drop else EventType.ERROR,
        environment=Environment.PROD,
        error_code=None if fault is None or truth.is_drop else fault.code,
        route=None if fault is None or truth.is_drop else fault.route,
    )
    written: dict[str, Any] = {
        "case": f"{kind}-{seed}",
        "kind": kind,
        "seed": seed,
        "fingerprint": fingerprint.text,
        "decoys": sorted(decoy for decoy in decoys if len(decoy) >= MIN_DECOY_CHARS),
        "facts": [list(group) for group in truth.facts],
        "abstain": truth.abstain,
        "forbidden_first": list(truth.forbidden_first),
        "canaries": list(truth.canaries),
        "canary_fields": ["title", "likely_causes", "next_steps"],
    }
    if truth.causes:
        written["causes"] = [[list(group) for group in groups] for groups in truth.causes]
    return events, written


def make_cases(
    seeds: Sequence[int], kinds: Sequence[str] | None = None
) -> Iterator[tuple[list[TrafficEvent], dict[str, Any]]]:
    """Make every kind with every seed."""
    for kind in kinds or KINDS:
        for seed in seeds:
            yield make_case(kind, seed)
