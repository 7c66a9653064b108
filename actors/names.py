"""Which actors must exist, and what they are called."""

from typing import Final

from signals.settings import RuntimeSettings
from signals.store.workers import Kind

NAMESPACE: Final = "signals"


def expected(runtime: RuntimeSettings) -> dict[str, Kind]:
    """Return the name and kind of every consumer that must run."""
    counts: dict[Kind, int] = {
        "incident-engine": runtime.detectors,
        "indexer": runtime.indexers,
        "ai-worker": runtime.summarizers,
    }
    return {f"{kind}-{number}": kind for kind, count in counts.items() for number in range(count)}
