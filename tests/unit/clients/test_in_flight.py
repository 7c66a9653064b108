"""When a silent Kafka counts as away: later where its acknowledgements were slow before."""

from signals.clients.kafka.in_flight import (
    LONGEST_TOLERATED_S,
    REMEMBERED_S,
    STALLED_S,
    TOLERANCE,
    InFlightRecords,
)

SLOW_S = 0.9


def after_an_acknowledgement(wait_s: float) -> InFlightRecords:
    """Records of which one was acknowledged at 0, after a wait."""
    records = InFlightRecords()
    records.queued(1, -wait_s)
    records.acknowledged(0.0)
    return records


def test_quick_kafka_is_away_after_a_second() -> None:
    records = after_an_acknowledgement(0.005)
    records.queued(1, 1.0)
    assert records.admits(1.0 + STALLED_S)
    assert not records.admits(1.01 + STALLED_S)


def test_slow_kafka_is_given_three_times_its_longest_silence() -> None:
    records = after_an_acknowledgement(SLOW_S)
    records.queued(1, 1.0)
    assert records.tolerated_s(1.0) == TOLERANCE * SLOW_S
    assert records.admits(1.0 + TOLERANCE * SLOW_S)
    assert not records.admits(1.01 + TOLERANCE * SLOW_S)


def test_tolerance_ends_below_the_patience_of_clients() -> None:
    assert after_an_acknowledgement(60.0).tolerated_s(1.0) == LONGEST_TOLERATED_S


def test_quick_acknowledgements_end_the_tolerance_after_half_a_minute() -> None:
    records = after_an_acknowledgement(SLOW_S)
    records.queued(1, 10.0)
    records.acknowledged(10.005)
    assert records.tolerated_s(REMEMBERED_S) > 0
    later = REMEMBERED_S + 1.0
    assert records.tolerated_s(later) == 0
    records.queued(1, later)
    records.acknowledged(later + 0.005)
    assert records.tolerated_s(later + 1.0) < STALLED_S
