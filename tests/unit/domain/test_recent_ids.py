"""The window of recent event ids: long enough for retries, bounded in time and in records."""

from uuid import UUID

from signals.domain.recent_ids import MAX_RECORDS, WINDOW_MS, RecentIds, recent_key


def _id(number: int) -> bytes:
    return number.to_bytes(16, "big")


def test_an_id_is_known_until_the_window_has_passed() -> None:
    recent = RecentIds()
    recent.add(_id(1), 0, 1_000)
    recent.add(_id(2), 1, 1_000 + WINDOW_MS - 1)
    assert _id(1) in recent
    recent.add(_id(3), 2, 1_000 + WINDOW_MS)
    assert _id(1) not in recent
    assert _id(2) in recent


def test_a_flood_is_forgotten_by_offset_before_its_time() -> None:
    recent = RecentIds()
    for offset in range(MAX_RECORDS + 10):
        recent.add(_id(offset), offset, 5_000)
    assert len(recent) == MAX_RECORDS
    assert _id(9) not in recent
    assert _id(10) in recent


def test_offsets_of_records_without_an_id_count_too() -> None:
    recent = RecentIds()
    recent.add(_id(1), 0, 5_000)
    recent.add(_id(2), MAX_RECORDS, 5_000)
    assert _id(1) not in recent
    assert len(recent) == 1


def test_a_record_read_again_keeps_its_place() -> None:
    recent = RecentIds()
    recent.add(_id(1), 0, 1_000)
    recent.add(_id(1), 0, 1_000)
    assert len(recent) == 1


def test_a_clock_that_went_back_forgets_nothing() -> None:
    recent = RecentIds()
    recent.add(_id(1), 0, 1_000 + WINDOW_MS)
    recent.add(_id(2), 1, 1_000)
    assert _id(1) in recent
    assert _id(2) in recent


def test_a_project_cannot_hide_events_of_another_by_their_ids() -> None:
    event_id = UUID(int=7)
    assert recent_key("shop", event_id) == recent_key("shop", event_id)
    assert recent_key("shop", event_id) != recent_key("web", event_id)
