"""The verdict on the pipeline counts the reading of each stage, and says where it is late."""

import pytest

from serve_apps.console.pipeline import pipeline_verdict
from signals.domain.operations.reading_progress import ReadingProgress
from signals.services.operations.partition_lag import StageReading
from signals.services.operations.readiness import UNKNOWN_LEDGER, ProductReadiness


def readiness(progress: ReadingProgress, partitions: list[int], waiting: int) -> ProductReadiness:
    stage = StageReading(stage="indexer", progress=progress, waiting=waiting, partitions=partitions)
    return ProductReadiness(
        ready=progress != "standing", dependencies=[], actors=[], stages=[stage], ledger=UNKNOWN_LEDGER
    )


@pytest.mark.parametrize(
    ("progress", "partitions", "waiting", "title", "text", "said"),
    [
        ("well", [], 12, "Well", "Every part works", ()),
        (
            "late",
            [4],
            1,
            "LATE",
            "Every part works, events are late",
            ("Partition 4 of indexer is more than a minute late: 1 record waits.",),
        ),
        (
            "standing",
            [3, 4],
            152_445,
            "NOT WELL",
            "Not every part works",
            ("Partitions 3, 4 of indexer stand still: 152,445 records wait.",),
        ),
    ],
)
def test_verdict_names_what_is_late_or_stands_still(
    progress: ReadingProgress,
    partitions: list[int],
    waiting: int,
    title: str,
    text: str,
    said: tuple[str, ...],
) -> None:
    verdict = pipeline_verdict(readiness(progress, partitions, waiting))
    assert (verdict.title, verdict.text, verdict.stages) == (title, text, said)
