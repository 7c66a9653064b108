"""The window of recent event ids: long enough for retries, bounded in time and in records."""

from uuid import UUID

from signals.domain.detection.recent_ids import MAX_RECORDS, WINDOW_MS, RecentIds, recent_key


def _id(number: int) -> bytes:
    return number.to_bytes(16, "big")


def test_an_id_is_known_until_the_window_has_passed() -> None:
    recent = RecentIds()
    recent.add(0, [_id(1)], 0, 1_000)
    recent.add(0, [_id(2)], 1, 1_000 + WINDOW_MS - 1)
    assert _id(1) in recent
    recent.add(0, [_id(3)], 2, 1_000 + WINDOW_MS)
    assert _id(1) not in recent
    assert _id(2) in recent


def test_ids_that_came_together_are_known_as_long_as_the_newest_of_them() -> None:
    recent = RecentIds()
    recent.add(0, [_id(1), _id(2)], 1, 1_000)
    recent.add(0, [_id(3)], 2, 1_000 + WINDOW_MS - 1)
    assert _id(1) in recent


def test_a_flood_is_forgotten_by_offset_before_its_time() -> None:
    recent = RecentIds()
    for start in range(0, MAX_RECORDS + 10, 10):
        recent.add(0, [_id(start + n) for n in range(10)], start + 9, 5_000)
    assert len(recent) == MAX_RECORDS
    assert _id(9) not in recent
    assert _id(10) in recent


def test_offsets_of_records_without_an_id_count_too() -> None:
    recent = RecentIds()
    recent.add(0, [_id(1)], 0, 5_000)
    recent.add(0, [_id(2)], MAX_RECORDS, 5_000)
    assert _id(1) not in recent
    assert len(recent) == 1


def test_backward_clock_keeps_all_ids() -> None:
    recent = RecentIds()
    recent.add(0, [_id(1)], 0, 1_000 + WINDOW_MS)
    recent.add(0, [_id(2)], 1, 1_000)
    assert _id(1) in recent
    assert _id(2) in recent


def test_each_partition_keeps_its_own_window() -> None:
    recent = RecentIds()
    recent.add(0, [_id(1)], 0, 1_000)
    recent.add(1, [_id(2)], MAX_RECORDS, 1_000 + WINDOW_MS)
    assert _id(1) in recent
    recent.forget(1)
    assert _id(1) in recent
    assert _id(2) not in recent


def test_a_project_cannot_hide_events_of_another_by_their_ids() -> None:
    event_id = UUID(int=7)
    assert recent_key("shop", event_id) == recent_key("shop", event_id)
    assert recent_key("shop", event_id) != recent_key("web", event_id)
