"""Geometry of the charts: counts in, coordinates out. Templates draw them as SVG and escape every text."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Final

from serve_apps.console.words import Clock
from signals.services.incidents.incident_chart import Chart, DeployMark

TOP: Final = 22
BOTTOM: Final = 24
LEFT: Final = 46
RIGHT: Final = 12
WIDE: Final = (880, 236)
NARROW: Final = (400, 210)
LOW: Final = 110  # height of a histogram
MAX_FLAG: Final = 22  # characters of a release on the chart
CHARACTER: Final = 7.4  # width of one, with some room
NARROW_MINUTES: Final = 60  # a phone shows the newest hour: text stays legible
STEPS: Final = (5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10080)  # minutes between labels
MAX_LABELS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A label at a place of an axis."""

    place: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The drawing area and its axes."""

    width: int
    height: int
    rows: tuple[Mark, ...]
    columns: tuple[Mark, ...]

    @property
    def floor(self) -> float:
        """The height of zero."""
        return self.height - BOTTOM

    @property
    def left(self) -> int:
        """The beginning of the time axis."""
        return LEFT

    @property
    def right(self) -> int:
        """The end of the time axis."""
        return self.width - RIGHT


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployFlag:
    """A deploy on the time axis; `label` is empty where two would collide."""

    place: float
    label: str
    title: str
    is_left: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesChart:
    """An incident's chart: counts a minute as bars, and the sum that the rule compared as a line."""

    frame: Frame
    bars: str
    line: str
    threshold: float | None
    threshold_label: float
    normal: float | None
    firing: tuple[float, float]
    fired: tuple[float, float] | None
    deploys: tuple[DeployFlag, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar of a histogram: its place, its count, and the span of time that it stands for."""

    x: float
    y: float
    width: float
    height: float
    count: int
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class HistogramChart:
    """Counts over time."""

    frame: Frame
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """The numbers that the rule compared at an opening; without a threshold only the sum is drawn."""

    window: int
    threshold: float | None
    normal: float | None
    opened_at: datetime


def series_charts(chart: Chart, compared: Compared | None, clock: Clock) -> list[SeriesChart]:
    """Return the chart in both sizes, wide first; nothing for no minutes."""
    if not chart.minutes:
        return []
    return [_series(chart, compared, clock, size) for size in (WIDE, NARROW)]


def _series(chart: Chart, compared: Compared | None, clock: Clock, size: tuple[int, int]) -> SeriesChart:
    minutes = chart.minutes
    window = compared.window if compared else 1
    sums = _sums([minute.count for minute in minutes], window)
    shown = minutes if size == WIDE else minutes[-NARROW_MINUTES:]
    sums = sums[-len(shown) :]
    counts = [minute.count for minute in shown]
    peak = max([*sums, *counts, (compared and compared.threshold) or 0, 1]) * 1.08
    frame = _frame(size, peak, shown[0].at, timedelta(minutes=len(shown)), clock)
    wide = (frame.right - frame.left) / len(shown)

    def x(index: float) -> float:
        return round(frame.left + wide * index, 1)

    def y(value: float) -> float:
        return round(frame.floor - (frame.floor - TOP) * value / peak, 1)

    bars = "".join(
        f"M{x(i + 0.12)} {frame.floor}V{y(count)}H{x(i + 0.88)}V{frame.floor}z"
        for i, count in enumerate(counts)
        if count
    )
    line = " ".join(f"{x(i + 0.5)},{y(value)}" for i, value in enumerate(sums))
    opened = (compared.opened_at - shown[0].at) / timedelta(minutes=1) if compared else 0.0
    start = x(min(max(opened, 0), len(shown))) if compared else float(frame.right)
    place = int(opened)
    threshold = y(compared.threshold) if compared and compared.threshold is not None else None
    return SeriesChart(
        frame=frame,
        bars=bars,
        line=line,
        threshold=threshold,
        threshold_label=0.0 if threshold is None else _label(threshold, frame),
        normal=y(compared.normal) if compared and compared.normal else None,
        firing=(start, round(frame.right - start, 1)),
        fired=(x(place + 0.5), y(sums[place])) if compared and 0 <= place < len(sums) else None,
        deploys=tuple(_flags(chart.deploys, shown[0].at, len(shown), frame)),
    )


def histograms(
    buckets: Sequence[tuple[datetime, int]],
    length: timedelta,
    clock: Clock,
    span: tuple[datetime, datetime] | None = None,
) -> Sequence[HistogramChart]:
    """Return the bars of counts by the start of their bucket, in both sizes, wide first.

    The axis shows the whole `span`, also where it begins or ends without an event.
    """
    if not buckets or length <= timedelta():
        return ()
    first, last = buckets[0][0], buckets[-1][0] + length
    shown = (min(first, span[0]), max(last, span[1])) if span else (first, last)
    return [_histogram(buckets, length, clock, shown, (width, LOW)) for width, _ in (WIDE, NARROW)]


def _histogram(
    buckets: Sequence[tuple[datetime, int]],
    length: timedelta,
    clock: Clock,
    span: tuple[datetime, datetime],
    size: tuple[int, int],
) -> HistogramChart:
    start, end = span
    peak = max([count for _, count in buckets] + [1]) * 1.08
    frame = _frame(size, peak, start, end - start, clock, rows=3)
    scale = (frame.right - frame.left) / ((end - start) / length)
    bars = []
    for at, count in buckets:
        x = frame.left + scale * ((at - start) / length)
        high = max((frame.floor - TOP) * count / peak, 1.5) if count else 0.0
        bars.append(
            Bar(
                x=round(x + scale * 0.08, 1),
                y=round(frame.floor - high, 1),
                width=round(max(scale * 0.84, 1), 1),
                height=round(high, 1),
                count=count,
                since=at,
                until=at + length,
            )
        )
    return HistogramChart(frame=frame, bars=tuple(bars))


def _flags(
    deploys: Sequence[DeployMark], start: datetime, minutes: int, frame: Frame
) -> Iterator[DeployFlag]:
    """Yield the deploys inside the frame; a label that would run into the one before is left out."""
    free = 0.0
    for deploy in deploys:
        part = (deploy.at - start) / timedelta(minutes=minutes)
        if not 0 <= part <= 1:
            continue
        place = round(frame.left + (frame.right - frame.left) * part, 1)
        name = (deploy.release or "deploy")[:MAX_FLAG]
        length = len(name) * CHARACTER
        is_left = place + length > frame.right
        begin = place - length if is_left else place
        label = name if begin >= free else ""
        free = begin + length + CHARACTER if label else free
        title = f"{deploy.service or 'deploy'} {deploy.release or ''} {deploy.status}"
        yield DeployFlag(place=place, label=label, title=title, is_left=is_left)


def _sums(counts: Sequence[int], window: int) -> list[int]:
    """Return the sum of the window that ends with each minute."""
    totals = [0, *accumulate(counts)]
    return [totals[i + 1] - totals[max(0, i + 1 - window)] for i in range(len(counts))]


def _label(threshold: float, frame: Frame) -> float:
    """Return where the threshold's label stands: above its line, below it near the top."""
    return threshold - 5 if threshold > TOP + 14 else min(threshold + 13, frame.floor - 3)


def _frame(
    size: tuple[int, int], peak: float, start: datetime, span: timedelta, clock: Clock, *, rows: int = 4
) -> Frame:
    width, height = size
    floor = height - BOTTOM
    step = _nice(peak, rows)
    values = [step * i for i in range(int(peak / step) + 1)]
    minutes = span / timedelta(minutes=1)
    most = MAX_LABELS if width > 600 else MAX_LABELS // 2
    every = next((one for one in STEPS if minutes / one <= most), STEPS[-1])
    local = clock.local(start)
    past = (local.hour * 60 + local.minute) % every
    first = timedelta(minutes=(every - past) % every) - timedelta(seconds=local.second)
    columns = []
    at = start + first
    while at < start + span:
        x = LEFT + (width - LEFT - RIGHT) * ((at - start) / span)
        if LEFT <= x <= width - RIGHT - 10:
            there = clock.local(at)
            text = f"{there:%H:%M}" if every < 1440 else f"{there.day} {there:%b}"
            columns.append(Mark(place=round(x, 1), text=text))
        at += timedelta(minutes=every)
    return Frame(
        width=width,
        height=height,
        rows=tuple(Mark(place=round(floor - (floor - TOP) * v / peak, 1), text=f"{v:,}") for v in values),
        columns=tuple(columns),
    )


def _nice(peak: float, rows: int) -> int:
    """Return a step of 1, 2 or 5 times a power of ten, so that at most `rows` lines fit."""
    power = 1
    while True:
        for factor in (1, 2, 5):
            if peak / (power * factor) <= rows:
                return power * factor
        power *= 10
