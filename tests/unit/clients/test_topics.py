"""Settings of created topics."""

import pytest

from signals.clients.kafka.connection import min_insync_replicas


@pytest.mark.parametrize(("replication_factor", "expected"), [(1, 1), (2, 1), (3, 2), (5, 2)])
def test_acknowledged_events_have_two_copies_when_the_cluster_can_lose_a_broker(
    replication_factor: int, expected: int
) -> None:
    assert min_insync_replicas(replication_factor) == expected
