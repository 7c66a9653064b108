"""Which consumer actors must exist, and what they are called."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import ConfigDict, Field, create_model

from signals.consumer_kinds import KINDS, ConsumerKind
from signals.settings import EnvironmentSettings

NAMESPACE: Final = "signals"


def _count_of(kind: ConsumerKind) -> Any:
    return int, Field(ge=0, le=kind.most)


ConsumerCounts: Final = create_model(
    "ConsumerCounts",
    __config__=ConfigDict(frozen=True, extra="forbid", strict=True),
    __doc__="How many consumers of each kind must run; none may be wished.",
    **{kind.setting: _count_of(kind) for kind in KINDS},
)


def expected(user_config: Mapping[str, Any], environment: EnvironmentSettings) -> dict[str, str]:
    """Return the name and kind of every consumer that must run.

    The counts are those of Serve's `user_config`, else those of `environment` (`ConsumerSettings`).

    Raises:
        pydantic.ValidationError: naming the entry of `user_config` at fault; Serve shows it.
    """
    counts = ConsumerCounts.model_validate(environment.model_dump() | dict(user_config))
    return {
        f"{kind.name}-{number}": kind.name
        for kind in KINDS
        for number in range(getattr(counts, kind.setting))
    }
