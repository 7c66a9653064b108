"""The benchmark's events match those that ingest-api publishes."""

from collections import Counter
from datetime import UTC, datetime, timedelta

from benchmarks.events import kinds, records
from shared_types import fingerprint, parse_envelope, partition_key


def test_events_are_canonical_and_spread_over_300_fingerprints() -> None:
    chosen = kinds()
    made = list(records(chosen, 3_000))
    events = [parse_envelope(value) for _, value in made]
    assert [event.to_json() for event in events] == [value for _, value in made]
    assert [partition_key(event).encode() for event in events] == [key for key, _ in made]
    assert len({event.event_id for event in events}) == len(events)
    assert len({(event.project_id, fingerprint(event)) for event in events}) == len(chosen) == 300


def test_same_seed_makes_the_same_events() -> None:
    assert list(records(kinds(), 50)) == list(records(kinds(), 50))


def test_events_may_be_spread_over_a_day() -> None:
    begin = datetime(2026, 11, 29, tzinfo=UTC)
    made = records(kinds(), 3, start=begin, per_s=1 / 28_800)
    instants = [parse_envelope(value).occurred_at for _, value in made]
    assert instants == [begin + timedelta(hours=8 * number) for number in range(3)]


def test_hot_stream_has_one_key() -> None:
    assert len(Counter(key for key, _ in records(kinds(1), 100))) == 1
