"""Moves a series to the weeks that the engine is fed with: all at once, at the same minutes of the week."""

from typing import Final

import msgspec

from benchmarks.detection.corpus import LabelledSeries
from benchmarks.detection.scoring import WEEK

BEGIN: Final = 29_541_600 // WEEK * WEEK  # minutes since the epoch: spring 2026, the past by any clock


def moved(series: LabelledSeries) -> LabelledSeries:
    """Return the series moved by whole weeks to the first one."""
    return msgspec.structs.replace(series, start_minute=BEGIN + series.start_minute % WEEK)
