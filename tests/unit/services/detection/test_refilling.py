"""Nothing new is counted while a window of recent ids is still being read again."""

from collections.abc import Collection

import pytest

from signals.clients.kafka.consumer import Record
from signals.errors import DependencyUnavailable
from signals.services.detection.refilling import Refill

OWNED = {0: 10, 1: 0}  # the offset to count next, by partition


class Log:
    """Notes what is paused; a consumer as far as `Refill` knows one."""

    def __init__(self) -> None:
        self.paused: set[int] = set()

    def pause_reading(self, partitions: Collection[int]) -> None:
        self.paused |= set(partitions)

    def resume_reading(self, partitions: Collection[int]) -> None:
        self.paused -= set(partitions)


def record(partition: int, offset: int) -> Record:
    return Record("t", partition, offset, 0, None, b"", None)


def places(records: list[Record]) -> list[tuple[int, int]]:
    return [(r.partition, r.offset) for r in records]


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def refill(log: Log) -> Refill:
    """Partition 0 reads 7 to 9 again, partition 1 is new."""
    refill = Refill(log)  # type: ignore[arg-type]  # only what it uses
    refill.begin({0: 7, 1: 0}, OWNED)
    return refill


def test_new_records_of_every_partition_wait_for_the_refill_and_then_come_in_order(
    refill: Refill, log: Log
) -> None:
    first = refill.admit([record(1, 0), record(0, 7), record(1, 1)], OWNED)
    assert (places(first), log.paused) == ([(0, 7)], {1})
    then = refill.admit([record(0, 8), record(0, 9), record(0, 10)], OWNED)
    assert places(then) == [(0, 8), (0, 9), (1, 0), (1, 1), (0, 10)]
    assert log.paused == set()
    assert places(refill.admit([record(1, 2)], OWNED)) == [(1, 2)]


def test_held_records_of_a_lost_partition_are_forgotten(refill: Refill) -> None:
    assert refill.admit([record(1, 0)], OWNED) == []
    refill.forget([1])
    assert places(refill.admit([record(0, 9), record(1, 1)], {0: OWNED[0]})) == [(0, 9)]


def test_lost_refill_releases_the_waiting_partitions(refill: Refill) -> None:
    assert refill.admit([record(1, 0)], OWNED) == []
    refill.forget([0])
    assert places(refill.admit([], {1: OWNED[1]})) == [(1, 0)]


def test_a_refill_that_the_log_does_not_hold_ends_the_session(
    refill: Refill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signals.services.detection.refilling.time.monotonic", lambda: 1e12)
    with pytest.raises(DependencyUnavailable, match=r"\[0\]"):
        refill.admit([], OWNED)
