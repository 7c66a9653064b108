"""The memory of each kind of process over time: samples, a table, and whether a kind grows."""

import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median, median_low
from typing import Final

import psutil

from signals.local.processes.footprint import footprint_of_one
from tests.system.faults.table import markdown

SAMPLE_EVERY_S: Final = 15.0
COLUMN_MINUTES: Final = 5
FLAT_SHARE: Final = 0.2  # of a kind's memory; caches and heaps move by half of it (measured)
FLAT_MB: Final = 30.0
YOUNG_MINUTES: Final = 3.0  # of a process: it still fills its caches
MB: Final = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One process of a sample; its memory in MB, shared pages divided by their users."""

    kind: str
    mb: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The memory of all processes at one moment, by pid."""

    minute: float
    load: float
    members: Mapping[int, Member]

    def mb_of(self, kind: str) -> float:
        """Return the sum over the processes of one kind."""
        return sum(member.mb for member in self.members.values() if member.kind == kind)

    def count_of(self, kind: str) -> int:
        """Return how many processes of one kind there are."""
        return sum(member.kind == kind for member in self.members.values())

    @property
    def total_mb(self) -> float:
        """Return the sum over all processes."""
        return sum(member.mb for member in self.members.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """One kind over a run: its median memory in the second and in the last quarter, and a slope.

    The slope is that of single processes after their first minutes: kills would hide it in the sums.
    """

    kind: str
    second_mb: float
    last_mb: float
    slope_mb_an_hour: float | None

    @property
    def is_flat(self) -> bool:
        """Whether the kind takes no more than noise explains. The first quarter never counts."""
        return self.last_mb - self.second_mb <= max(FLAT_MB, FLAT_SHARE * self.second_mb)


class MemoryWatch:
    """A thread that takes a sample each quarter of a minute."""

    def __init__(self, processes: Callable[[], Mapping[int, str]]) -> None:
        self.samples: list[Sample] = []
        self._processes = processes
        self._began = time.monotonic()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory", daemon=True)

    def __enter__(self) -> "MemoryWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            minute = (time.monotonic() - self._began) / 60
            self.samples.append(sample(self._processes(), minute))
            if self._stopping.wait(SAMPLE_EVERY_S):
                return


def sample(kinds: Mapping[int, str], minute: float) -> Sample:
    """Measure these processes now; one that ends meanwhile counts nothing."""
    members = {}
    for pid, kind in kinds.items():
        try:
            used = footprint_of_one(psutil.Process(pid)).pss_bytes
        except psutil.NoSuchProcess:
            continue
        if used:  # none is left of a process that nobody has waited for
            members[pid] = Member(kind=kind, mb=used / MB)
    return Sample(minute=minute, load=os.getloadavg()[0], members=members)


def growths(samples: Sequence[Sample]) -> list[Growth]:
    """Compare the quarters of a run, kind by kind."""
    quarter = len(samples) // 4
    found = []
    for kind in _kinds(samples):
        usual = median_low(sample.count_of(kind) for sample in samples)
        found.append(
            Growth(
                kind=kind,
                second_mb=_median_mb(samples[quarter : 2 * quarter], kind, usual),
                last_mb=_median_mb(samples[-quarter:], kind, usual),
                slope_mb_an_hour=_slope(samples, kind),
            )
        )
    return found


def memory_lines(samples: Sequence[Sample]) -> list[str]:
    """Return a table of the medians of each five minutes by kind, with the load average below."""
    columns = [list(group) for group in _columns(samples)]
    starts = [n * COLUMN_MINUTES for n in range(len(columns))]
    head = ["MB in minutes", *(f"{start}-{start + COLUMN_MINUTES}" for start in starts)]
    rows = [
        [kind, *(f"{median(sample.mb_of(kind) for sample in column):.0f}" for column in columns)]
        for kind in _kinds(samples)
    ]
    rows.append(["all", *(f"{median(sample.total_mb for sample in column):.0f}" for column in columns)])
    count = ["processes", *(f"{median(len(sample.members) for sample in column):.0f}" for column in columns)]
    load = ["load average", *(f"{median(sample.load for sample in column):.1f}" for column in columns)]
    return markdown([head, *rows, count, load])


def growth_lines(found: Sequence[Growth]) -> list[str]:
    """Return a table of the growths."""
    rows = [
        [
            growth.kind,
            f"{growth.second_mb:.0f}",
            f"{growth.last_mb:.0f}",
            f"{growth.last_mb - growth.second_mb:+.1f}",
            "-" if growth.slope_mb_an_hour is None else f"{growth.slope_mb_an_hour:+.1f}",
            "flat" if growth.is_flat else "GROWS",
        ]
        for growth in found
    ]
    head = ["kind", "2nd quarter MB", "last quarter MB", "growth MB", "MB an hour in one process", "verdict"]
    return markdown([head, *rows])


def _kinds(samples: Sequence[Sample]) -> list[str]:
    return sorted({member.kind for sample in samples for member in sample.members.values()})


def _median_mb(samples: Sequence[Sample], kind: str, usual: int) -> float:
    """Return the median over the moments at which no process of the kind is missing, if there are any."""
    whole = [sample for sample in samples if sample.count_of(kind) >= usual]
    return median(sample.mb_of(kind) for sample in whole or samples)


def _columns(samples: Sequence[Sample]) -> Iterator[list[Sample]]:
    columns: defaultdict[int, list[Sample]] = defaultdict(list)
    for one in samples:
        columns[int(one.minute / COLUMN_MINUTES)].append(one)
    yield from (columns[n] for n in sorted(columns))


def _slope(samples: Sequence[Sample], kind: str) -> float | None:
    """Return the median slope between all pairs of samples of one process (Theil and Sen), all processes."""
    lives: defaultdict[int, list[tuple[float, float]]] = defaultdict(list)
    for one in samples:
        for pid, member in one.members.items():
            if member.kind == kind:
                lives[pid].append((one.minute / 60, member.mb))
    slopes = []
    for life in lives.values():
        grown_up = [point for point in life if point[0] - life[0][0] >= YOUNG_MINUTES / 60]
        slopes += [(b - a) / (later - earlier) for (earlier, a), (later, b) in combinations(grown_up, 2)]
    return median(slopes) if slopes else None
