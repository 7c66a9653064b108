"""Makes a labelled case of an incident of one's own: its events as they were sent, and the true cause."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from signals.domain.summary.feedback import LabelledCause

SENT: Final = (
    "event_id", "occurred_at", "environment", "event_type", "severity", "message", "attributes", "payload",
)  # fmt: skip
"""Fields of an event in a case file: without its tenant, and without its arrival, late in a backfill."""
MIN_DECOY_CHARS: Final = 3
MAX_VALUES: Final = 200  # of one name; more are ids, which an answer does not guess


def case_events(found: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return found events in order of time, without their tenant."""
    events = [{name: event[name] for name in SENT if name in event} for event in found]
    return sorted(events, key=lambda event: str(event["occurred_at"]))


def case_truth(
    name: str, *, fingerprint: str, cause: LabelledCause, events: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the line of truth of a case: every fact must be named, any other value is a decoy."""
    return {
        "case": name,
        "kind": "own",
        "fingerprint": fingerprint,
        "facts": [[fact] for fact in cause.facts],
        "abstain": not cause.is_visible,
        "forbidden_first": [],
        "canaries": [],
        "decoys": _decoys(events, cause.facts),
    }


def _decoys(events: Sequence[Mapping[str, Any]], facts: Sequence[str]) -> list[str]:
    values: defaultdict[str, set[str]] = defaultdict(set)
    for event in events:
        for name, value in event.get("attributes", {}).items():
            if isinstance(value, str) and len(value) >= MIN_DECOY_CHARS:
                values[name].add(value)
    known = {fact.casefold() for fact in facts}
    return sorted(
        {
            value
            for found in values.values()
            if len(found) <= MAX_VALUES
            for value in found
            if value.casefold() not in known
        }
    )
