"""A batch is given up for the last trouble that it met, after tries of which OpenSearch took nothing."""

from collections.abc import Sequence

import pytest

from signals.clients.opensearch.connection import TOO_SLOW, Client
from signals.clients.opensearch.index import BulkVerdict, ItemResult
from signals.domain.events.sightings import SightingReader
from signals.domain.findings.labels import LabelPolicy
from signals.errors import DependencyTimedOut, DependencyUnavailable
from signals.services.indexing import bulk
from signals.services.indexing.batch import DocumentBatch
from signals.services.indexing.bulk import RETRIES, Writer
from signals.services.indexing.labelling import Labeller
from tests.support.events import NOON, errors, raw_record

DOCUMENTS = 20
LATE = "OpenSearch is unavailable: it takes requests but answers too late"
REFUSED = "OpenSearch is unavailable: it refuses 20 documents again and again: it is overloaded"


@pytest.mark.parametrize(
    ("late", "said", "kind"),
    [
        ([True] * (RETRIES + 1), LATE, DependencyTimedOut),
        ([False] * (RETRIES + 1), REFUSED, DependencyUnavailable),
        ([False] * RETRIES + [True], LATE, DependencyTimedOut),
        ([True] * RETRIES + [False], REFUSED, DependencyUnavailable),
    ],
    ids=["always late", "always refused", "late at last", "refused at last"],
)
def test_batch_is_given_up_for_what_it_met_last(
    late: Sequence[bool], said: str, kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter(late)

    def answer(*_: object, **__: object) -> list[ItemResult]:
        if next(answers):
            raise DependencyTimedOut("OpenSearch", TOO_SLOW)
        return [ItemResult(verdict=BulkVerdict.OVERLOADED)] * DOCUMENTS

    monkeypatch.setattr(bulk, "bulk_create", answer)
    monkeypatch.setattr(bulk, "stored", lambda *_: {})
    for pause_s in ("FIRST_PAUSE_S", "LOOK_AGAIN_S"):
        monkeypatch.setattr(bulk, pause_s, 0.001)
    batch = DocumentBatch({0}, SightingReader(), Labeller(LabelPolicy()))
    batch.add_all([raw_record(event, offset=number) for number, event in enumerate(errors(DOCUMENTS, NOON))])
    with pytest.raises(DependencyUnavailable, match=said) as raised:
        Writer(Client()).write(batch)
    assert raised.type is kind
    assert next(answers, None) is None
