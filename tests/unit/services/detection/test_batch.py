"""Each of a poll's records is entered once, in any mix of partitions."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import timedelta
from random import Random
from uuid import UUID

from msgspec.structs import replace

from signals.clients.kafka.consumer import Record
from signals.clients.kafka.dead_letters import REQUEUED_FOR
from signals.domain.detection.recent_ids import RecentIds
from signals.domain.detection.rule_index import RuleIndex
from signals.domain.events.sightings import SightingReader
from signals.domain.ledger import minute_of_timestamp
from signals.services.detection.batch import STAGE, CountedBatch
from tests.support.events import NOON, event, raw_record

RECEIVED_MS = 1_700_000_000_000


def batch_of(
    records: Iterable[Record], counted_until: Mapping[int, int], recent: RecentIds | None = None
) -> CountedBatch:
    batch = CountedBatch(
        counted_until, RecentIds() if recent is None else recent, SightingReader(), _no_rules
    )
    batch.add_all(list(records))
    return batch


def _no_rules(_: object) -> Mapping[str, RuleIndex]:
    return {}


def record(number: int, kind: str = "error", *, partition: int = 0, offset: int | None = None) -> Record:
    made = event(kind, NOON + timedelta(seconds=number), event_id=UUID(int=number + 1), error_code="E")
    at = number if offset is None else offset
    return replace(raw_record(made, partition=partition, offset=at), timestamp_ms=RECEIVED_MS)


def outcomes(batch: CountedBatch) -> dict[tuple[str, int], int]:
    found: Counter[tuple[str, int]] = Counter()
    for account, count in batch.entries().items():
        found[account.outcome, account.partition] += count
    return dict(found)


def test_each_record_is_entered_once_in_any_mix_of_partitions() -> None:
    chance = Random(3)
    offsets = Counter[int]()
    records = []
    for number in range(300):
        partition = chance.randrange(3)
        kind = chance.choice(["error", "signup", "custom"])
        records.append(record(number, kind, partition=partition, offset=offsets[partition]))
        offsets[partition] += 1
    batch = batch_of(records, dict.fromkeys(range(3), 0))
    assert sum(outcomes(batch).values()) == 300
    counted = sum(count for (outcome, _), count in outcomes(batch).items() if outcome == "counted")
    assert sum(batch.tally.counts().values()) == counted
    assert batch.next_offsets == dict(offsets)


def test_repeat_in_the_same_batch_and_in_an_earlier_one_counts_once() -> None:
    recent = RecentIds()
    first = batch_of([record(1), record(2), record(1, offset=3)], {0: 0}, recent)
    assert outcomes(first) == {("counted", 0): 2, ("duplicate", 0): 1}
    first.remember_ids()
    second = batch_of([record(2, offset=4), record(5)], {0: 4}, recent)
    assert outcomes(second) == {("counted", 0): 1, ("duplicate", 0): 1}
    assert second.duplicates == 1


def test_records_counted_before_fill_the_ids_before_new_ones_of_other_partitions_are_judged() -> None:
    again = record(1, partition=1, offset=7)
    batch = batch_of([again, record(1, offset=0), record(2, offset=1)], {0: 1, 1: 7})
    assert outcomes(batch) == {("counted", 0): 1, ("duplicate", 1): 1}
    assert batch.next_offsets == {0: 2, 1: 8}
    assert sum(batch.tally.counts().values()) == 1


def test_records_of_a_lost_partition_are_left_out() -> None:
    batch = batch_of([record(1, partition=4), record(2)], {0: 0})
    assert outcomes(batch) == {("counted", 0): 1}
    assert batch.next_offsets == {0: 3}


def test_requeued_record_is_entered_in_the_minute_of_its_return() -> None:
    back = [(REQUEUED_FOR, STAGE.encode())]
    for_others = [(REQUEUED_FOR, b"indexer")]
    records = [record(1), replace(record(2), headers=back), replace(record(3), headers=for_others), record(4)]
    batch = batch_of(records, {0: 0})
    minutes = Counter[bool]()
    for account, count in batch.entries().items():
        minutes[account.minute == minute_of_timestamp(RECEIVED_MS)] += count
    assert minutes == {True: 1, False: 2}
    assert batch.next_offsets == {0: 5}


def test_broken_record_is_given_up_once() -> None:
    broken = replace(record(2), value=b"{}")
    batch = batch_of([record(1), broken, record(3)], {0: 0})
    assert [letter.record.offset for letter in batch.dead_letters] == [2]
    assert outcomes(batch) == {("counted", 0): 2, ("dead_lettered", 0): 1}
    again = batch_of([record(1), broken, record(3)], {0: 3})
    assert outcomes(again) == {("counted", 0): 1}
    assert (again.dead_letters, again.next_offsets) == ([], {0: 4})
