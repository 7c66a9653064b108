"""When dead letters stop being exceptions, for a consumer that reads its batches once or several times."""

import random

import pytest

from signals.domain.operations.dead_letter_limits import AT_LEAST, WINDOW, DeadLetterLimits
from signals.errors import TooManyDeadLetters


def settle_all(limits: DeadLetterLimits, offsets: list[int], *, batch: int = 1, partition: int = 0) -> int:
    """Dead-letter records a batch at a time, as a consumer does; return how many passed before it stopped."""
    for start in range(0, len(offsets), batch):
        try:
            windows = limits.admit({partition: offsets[start : start + batch]})
        except TooManyDeadLetters:
            return start
        limits.remember(windows)
    return len(offsets)


def test_few_dead_letters_pass_even_without_good_records() -> None:
    assert settle_all(DeadLetterLimits(0.5), list(range(AT_LEAST - 1))) == AT_LEAST - 1


def test_a_new_partition_of_broken_records_stops_at_the_hundredth() -> None:
    assert settle_all(DeadLetterLimits(0.5), list(range(5_000))) == AT_LEAST - 1


def test_a_busy_partition_stops_when_half_of_its_newest_records_are_dead() -> None:
    assert settle_all(DeadLetterLimits(0.5), list(range(10_000, 20_000))) == WINDOW // 2


def test_half_broken_records_pass_and_more_do_not() -> None:
    assert settle_all(DeadLetterLimits(0.5), list(range(10_000, 20_000, 2))) == 5_000
    two_of_three = [offset for offset in range(10_000, 20_000) if offset % 3]
    assert settle_all(DeadLetterLimits(0.5), two_of_three) < 1_000


def test_batch_that_passes_the_limit_in_its_middle_dead_letters_no_record() -> None:
    limits = DeadLetterLimits(0.5)
    with pytest.raises(TooManyDeadLetters, match=r"partition 3 .* 100 of its newest 100 .*MAX_SHARE=1"):
        limits.admit({3: [*range(AT_LEAST), 50_000]})


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_batch_size_and_repeats_do_not_change_the_number_of_dead_letters(share: float) -> None:
    chance = random.Random(11)
    offsets = [offset for offset in range(5_000, 9_000) if offset < 6_000 or chance.random() < 0.95]
    alone = settle_all(DeadLetterLimits(share), offsets)
    limits = DeadLetterLimits(share)
    dead_lettered = 0
    for _ in range(200):  # sessions, each cut differently, most of which only meet the limit again
        batch = offsets[dead_lettered : dead_lettered + chance.choice((1, 7, 50))]
        dead_lettered += settle_all(limits, batch, batch=len(batch))
    assert alone - 50 < dead_lettered <= alone


def test_stored_windows_keep_a_new_process_as_strict() -> None:
    first = DeadLetterLimits(0.5)
    windows = first.admit({0: list(range(10_000, 10_500))})
    restarted = DeadLetterLimits(0.5)
    restarted.remember(windows)
    assert settle_all(restarted, [10_500]) == 0
    assert settle_all(DeadLetterLimits(0.5), [10_500]) == 1


def test_old_dead_letters_leave_the_window() -> None:
    limits = DeadLetterLimits(0.5)
    limits.remember(limits.admit({0: list(range(10_000, 10_500))}))
    assert len(limits.admit({0: [10_000 + WINDOW + 400]})[0]) == 100
    assert settle_all(limits, list(range(12_000, 12_500))) == 500


def test_each_partition_is_judged_alone() -> None:
    limits = DeadLetterLimits(0.5)
    assert settle_all(limits, list(range(99)), partition=0) == 99
    assert settle_all(limits, list(range(99)), partition=1) == 99
    assert settle_all(limits, [99], partition=0) == 0


def test_a_share_of_one_never_stops() -> None:
    assert settle_all(DeadLetterLimits(1), list(range(3_000)), batch=500) == 3_000
