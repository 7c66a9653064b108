"""A watched series with its stored state, before its bytes are read."""

import msgspec

from shared_types import MetricName
from signals.domain.detection.buckets import Series


class StoredState(msgspec.Struct, frozen=True, kw_only=True):
    """A watched series with its state's bytes; minutes are since the epoch.

    `has_open`: it has an unresolved incident. `needs_history`: buckets exist that the state does not know;
    `is_disordered`: since late events came.
    """

    series_id: int
    series: Series
    first_bucket: int
    partition: int
    needs_history: bool
    is_disordered: bool = False
    judged: int
    state: bytes | None
    has_open: bool


def stored_state(
    org_id: str,
    project_id: str,
    environment: str,
    metric_name: MetricName,
    fingerprint: str,
    *state: object,
) -> StoredState:
    """Build a state from the columns of a statement of this package."""
    series_id, first, partition, needs_history, is_disordered, judged, data, has_open = state
    return StoredState(
        series_id=series_id,  # type: ignore[arg-type]  # columns of one statement
        series=Series(project_id, environment, metric_name, fingerprint, org_id),
        first_bucket=first,  # type: ignore[arg-type]
        partition=partition,  # type: ignore[arg-type]
        needs_history=bool(needs_history),
        is_disordered=bool(is_disordered),
        judged=judged,  # type: ignore[arg-type]
        state=data,  # type: ignore[arg-type]
        has_open=bool(has_open),
    )
