"""Which consumer actors must exist, and what they are called."""

from collections.abc import Mapping
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field

from signals.settings import RuntimeSettings
from signals.store.operations.workers import Kind

NAMESPACE: Final = "signals"


class ConsumerCounts(BaseModel):
    """How many consumers of each kind must run: Serve's `user_config`, else the environment's."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    detectors: int = Field(ge=0, le=256)
    indexers: int = Field(ge=0, le=256)
    summarizers: int = Field(ge=0, le=64)

    @classmethod
    def of(cls, user_config: Mapping[str, Any], runtime: RuntimeSettings) -> Self:
        """Take what `user_config` says, and the rest from the environment.

        Raises:
            pydantic.ValidationError: naming the entry of `user_config` at fault; Serve shows it.
        """
        given = {name: getattr(runtime, name) for name in cls.model_fields}
        return cls.model_validate(given | dict(user_config))


def expected(counts: ConsumerCounts) -> dict[str, Kind]:
    """Return the name and kind of every consumer that must run."""
    kinds: dict[Kind, int] = {
        "incident-engine": counts.detectors,
        "indexer": counts.indexers,
        "ai-worker": counts.summarizers,
    }
    return {f"{kind}-{number}": kind for kind, count in kinds.items() for number in range(count)}
