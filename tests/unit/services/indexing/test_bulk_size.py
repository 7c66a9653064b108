"""How many documents a bulk holds, by how OpenSearch answered the ones before."""

import pytest

from signals.services.indexing.bulk_size import FIRST, LARGEST, QUICK_S, SLOW_S, SMALLEST, BulkSize
from signals.services.indexing.indexer import MAX_BATCH

QUICK = QUICK_S / 2
SLOW = SLOW_S + 1


def _largest() -> BulkSize:
    size = BulkSize()
    while size.documents < LARGEST:
        size.answered(size.documents, QUICK, was_cut=False)
    return size


def test_quick_answers_double_the_size_up_to_a_whole_batch() -> None:
    size = BulkSize()
    size.answered(FIRST, QUICK, was_cut=True)
    assert size.documents == 2 * FIRST
    size.answered(10, QUICK, was_cut=False)  # not full: says nothing about a larger one
    assert size.documents == 2 * FIRST
    assert _largest().documents == MAX_BATCH


def test_bulk_sent_before_the_size_was_halved_does_not_halve_it_again() -> None:
    size = _largest()
    size.failed(LARGEST, was_cut=True)
    size.failed(LARGEST, was_cut=True)
    assert size.documents == LARGEST // 2


@pytest.mark.parametrize("seconds", [SLOW, None])
def test_one_late_small_bulk_halves_the_size_and_not_itself(seconds: float | None) -> None:
    size = _largest()
    _tell(size, 10, seconds, was_cut=False)
    assert size.documents == LARGEST // 2
    size.answered(LARGEST // 2, QUICK, was_cut=True)
    assert size.documents == LARGEST


@pytest.mark.parametrize("seconds", [SLOW, None])
def test_slow_server_is_sent_the_smallest_bulks_after_six_late_ones(seconds: float | None) -> None:
    size, sent = _largest(), []
    while size.documents > SMALLEST:
        sent.append(size.documents)
        _tell(size, size.documents, seconds, was_cut=True)
    assert sent == [2_000, 1_000, 500, 250, 125, 62]


def test_small_bulks_that_are_all_late_shrink_the_size_as_soon() -> None:
    size = _largest()
    for _ in range(6):
        size.failed(10, was_cut=False)
    assert size.documents == SMALLEST


def test_late_bulk_of_large_documents_halves_itself() -> None:
    size = _largest()
    size.failed(200, was_cut=True)  # 4 MiB are as many bytes as a bulk holds
    assert size.documents == 100


def _tell(size: BulkSize, documents: int, seconds: float | None, *, was_cut: bool) -> None:
    """Report an answer after so many seconds, or that none came."""
    if seconds is None:
        size.failed(documents, was_cut=was_cut)
    else:
        size.answered(documents, seconds, was_cut=was_cut)
