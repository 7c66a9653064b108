"""A batch is written by bulks of fitting sizes, and given up for the last trouble that it met."""

import threading
from collections.abc import Callable, Sequence

import pytest

from signals.clients.opensearch.connection import TOO_SLOW, Client
from signals.clients.opensearch.index import BulkVerdict, ItemResult
from signals.domain.events.sightings import SightingReader
from signals.domain.findings.labels import LabelPolicy
from signals.errors import DependencyTimedOut, DependencyUnavailable
from signals.services.indexing import bulk
from signals.services.indexing.batch import DocumentBatch
from signals.services.indexing.bulk import RETRIES, Writer
from signals.services.indexing.bulk_size import FIRST
from signals.services.indexing.labelling import Labeller
from tests.support.events import NOON, errors, raw_record

DOCUMENTS = 20
LATE = "OpenSearch is unavailable: it takes requests but answers too late"
DOWN = "OpenSearch is unavailable: it answered 503"
REFUSED = "OpenSearch is unavailable: it refuses 20 documents again and again: it is overloaded"

OVERLOADED = ItemResult(verdict=BulkVerdict.OVERLOADED)
CREATED = ItemResult(verdict=BulkVerdict.CREATED)

Answering = Callable[[Callable[[int], list[ItemResult]]], None]


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Answering:
    """Has OpenSearch answer a bulk by how many documents it holds; no document is there before."""
    monkeypatch.setattr(bulk, "stored", lambda *_: {})
    for pause_s in ("FIRST_PAUSE_S", "LOOK_AGAIN_S"):
        monkeypatch.setattr(bulk, pause_s, 0.001)

    def answer_by(answer: Callable[[int], list[ItemResult]]) -> None:
        monkeypatch.setattr(bulk, "bulk_create", lambda _, documents, **__: answer(len(documents)))

    return answer_by


@pytest.mark.parametrize(
    ("met", "said", "kind"),
    [
        (["late"] * (RETRIES + 1), LATE, DependencyTimedOut),
        (["down"] * (RETRIES + 1), DOWN, DependencyUnavailable),
        (["refused"] * (RETRIES + 1), REFUSED, DependencyUnavailable),
        (["refused", "down"] * (RETRIES // 2) + ["late"], LATE, DependencyTimedOut),
        (["late", "refused"] * (RETRIES // 2) + ["down"], DOWN, DependencyUnavailable),
        (["down", "late"] * (RETRIES // 2) + ["refused"], REFUSED, DependencyUnavailable),
    ],
    ids=["always late", "always down", "always refused", "late at last", "down at last", "refused at last"],
)
def test_batch_is_given_up_for_what_it_met_last(
    met: Sequence[str], said: str, kind: type[Exception], answering: Answering
) -> None:
    answers = iter(met)

    def answer(documents: int) -> list[ItemResult]:
        match next(answers):
            case "late":
                raise DependencyTimedOut("OpenSearch", TOO_SLOW)
            case "down":
                raise DependencyUnavailable("OpenSearch", "it answered 503: it is overloaded")
        return [OVERLOADED] * documents

    answering(answer)
    with pytest.raises(DependencyUnavailable, match=said) as raised:
        Writer(Client()).write(_batch(DOCUMENTS))
    assert raised.type is kind
    assert next(answers, None) is None


@pytest.mark.parametrize(
    ("refused", "next_size"),
    [(1, FIRST), (FIRST // 2, FIRST), (FIRST // 2 + 1, FIRST // 2), (FIRST, FIRST // 2)],
)
def test_bulk_of_which_most_is_refused_halves_the_next(
    refused: int, next_size: int, answering: Answering
) -> None:
    writer, sizes = Writer(Client()), []

    def answer(documents: int) -> list[ItemResult]:
        sizes.append(writer.size.documents)
        overloaded = refused if len(sizes) == 1 else 0
        return [OVERLOADED] * overloaded + [CREATED] * (documents - overloaded)

    answering(answer)
    writer.write(_batch(FIRST))
    assert sizes[:2] == [FIRST, next_size]


def test_pauses_stay_short_while_some_documents_of_each_bulk_are_taken(
    answering: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses_s: list[float] = []

    class Closing(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            pauses_s.append(timeout or 0.0)
            return False

    monkeypatch.setattr(bulk, "FIRST_PAUSE_S", 0.5)
    answering(lambda documents: [OVERLOADED] * (documents // 3) + [CREATED] * (documents - documents // 3))
    Writer(Client(), _closing=Closing()).write(_batch(FIRST))
    assert len(pauses_s) == 5  # 166, 55, 18, 6 and 2 documents were left
    assert set(pauses_s) == {0.5}


def _batch(documents: int) -> DocumentBatch:
    batch = DocumentBatch({0}, SightingReader(), Labeller(LabelPolicy()))
    batch.add_all([raw_record(event, offset=number) for number, event in enumerate(errors(documents, NOON))])
    return batch
