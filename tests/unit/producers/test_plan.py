"""Grouping planned events into requests."""

from producers.plan import LINGER_S, MAX_BATCH_BYTES, Planned, batched


def _sizes(plan: list[Planned], max_events: int) -> list[int]:
    return [len(batch.bodies) for batch in batched(plan, max_events)]


def test_batch_respects_the_event_limit() -> None:
    assert _sizes([Planned(0.0, b"{}")] * 5, 2) == [2, 2, 1]


def test_batch_respects_the_byte_limit() -> None:
    large = b"x" * (MAX_BATCH_BYTES // 2 - 10)
    assert _sizes([Planned(0.0, large)] * 3 + [Planned(0.0, b"x" * (2 * MAX_BATCH_BYTES))] * 2, 100) == [
        2,
        1,
        1,
        1,
    ]


def test_slow_plan_is_sent_in_partial_batches() -> None:
    batches = list(batched([Planned(float(second), b"{}") for second in range(4)], 100))
    assert [len(batch.bodies) for batch in batches] == [1, 1, 1, 1]
    assert [batch.due_s for batch in batches] == [0.0, 1.0, 2.0, 3.0]


def test_fast_plan_waits_to_fill_a_batch() -> None:
    batches = list(batched([Planned(number / 100, b"{}") for number in range(100)], 1000))
    assert 3 <= len(batches) <= 5
    assert batches[0].due_s <= LINGER_S


def test_history_and_live_events_are_batched_separately() -> None:
    plan = [Planned(float(second), b"{}") for second in range(-250, 2)]
    batches = list(batched(plan, 100))
    assert [len(batch.bodies) for batch in batches] == [100, 100, 50, 1, 1]
    assert [batch.is_history for batch in batches] == [True, True, True, False, False]


def test_nothing_planned_makes_no_batch() -> None:
    assert _sizes([], 10) == []
