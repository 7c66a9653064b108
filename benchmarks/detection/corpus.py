"""Reads the labelled corpus. Formats and sources: benchmarks/detection/README.md."""

import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec

GIVEN: Final = Path(__file__).parent / "given"
DAY: Final = 1440  # minutes


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """One outage of a series: minutes since the series' start. Storm labels of one cause share a `group`."""

    kind: str
    start: int
    end: int
    direction: Literal["up", "down"] = "up"
    group: str | None = None


class LabelledSeries(msgspec.Struct, frozen=True, kw_only=True):
    """One series, its outages, and the minutes to ignore. `start_minute` counts since the epoch."""

    series: str
    part: str
    metric: Literal["error_count", "signup_count"]
    start_minute: int
    minutes: int
    outages: tuple[Label, ...]
    ignore: tuple[Label, ...] = ()
    project: str | None = None
    fingerprint: str | None = None


class _Labels(msgspec.Struct):
    series: tuple[LabelledSeries, ...]


def load(corpus: Path, parts: Sequence[str]) -> list[LabelledSeries]:
    """Return the labelled series of some parts, without their counts."""
    labels = msgspec.json.decode((corpus / "labels.json").read_bytes(), type=_Labels)
    return [series for series in labels.series if series.part in parts]


def counts_of(corpus: Path, series: LabelledSeries) -> Mapping[int, int]:
    """Return the counts of a series by minute since the epoch; zero counts are left out."""
    with gzip.open(corpus / f"{series.series}.txt.gz", "rt") as file:
        counts = map(int, file.read().split())
        return {series.start_minute + at: count for at, count in enumerate(counts) if count}
