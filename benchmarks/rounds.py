"""Rows of the benchmark: contenders that each do one round at a time, and targets for their figures.

    ROW = Row(name="engine", title="…", unit="event", open=open_contenders, targets=(…,), guards=(…,))

`open` is a context manager that makes everything ready (servers, topics, warm-up) and yields the
contenders. A contender's `run` measures one round; what it does before and after is not timed.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Role = Literal["ours", "limit", "peer"]

Size = Literal["full", "quick", "tiny"]
"""full: `make bench`; quick: `make bench-quick`, ratios against the limit; tiny: does it run at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One measured round.

    `cpu_s` is the processor time of the contender's own processes; that of servers and everything else
    goes into `extra`, whose names end in their unit (`kafka_cpu_s`, `p99_ms`).
    """

    events: int
    wall_s: float
    cpu_s: float
    extra: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a round without events or time.

        Raises:
            ValueError: when the round has no events or no time.
        """
        if self.events <= 0 or self.wall_s <= 0:
            raise ValueError(f"{self.events} events in {self.wall_s} s: nothing was measured")

    def figures(self) -> dict[str, float]:
        """Return every figure of the round by name; `rate` is per second, every `cpu_us` per event."""
        spent = {"cpu_s": self.cpu_s} | {n: s for n, s in self.extra.items() if n.endswith("_cpu_s")}
        per_event = {f"{name[:-1]}us": cpu_s / self.events * 1e6 for name, cpu_s in spent.items()}
        own = {"rate": self.events / self.wall_s, "events": float(self.events), "wall_s": self.wall_s}
        return {**own, **per_event, **self.extra}


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One way to do the row's work; `note` lists its omissions."""

    name: str
    role: Role
    run: Callable[[], Round]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A bound on the product's figure, absolute or as a ratio to another contender's in the same round.

    `of` is a contender's name, "limit" or "best peer". With `plus`, which goes with `at_most`, ours may be
    that ratio of theirs and so much more. `unless_below` names a figure of the limit under which the
    target says nothing.
    """

    sentence: str
    figure: str
    at_least: float | None = None
    at_most: float | None = None
    of: str | None = None
    plus: float = 0.0
    ours: str | None = None
    unless_below: tuple[str, float] | None = None

    def __post_init__(self) -> None:
        """Check the bounds: exactly one, and `plus` only with an upper one.

        Raises:
            ValueError: when it has none or two, or `plus` without `at_most` and `of`.
        """
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError(f"{self.sentence!r}: set at_least or at_most")
        if self.plus and (self.at_most is None or self.of is None):
            raise ValueError(f"{self.sentence!r}: plus goes with at_most and of")


def costs_at_most(times: float, ours: str | None = None, of: str = "limit") -> Target:
    """Guard by processor time: unlike rates and latencies it stays the same on a busy machine."""
    sentence = f"{ours + ': ' if ours else ''}≤ {times:g}× the limit's CPU"
    return Target(sentence=sentence, figure="cpu_us", at_most=times, of=of, ours=ours)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Size and folder of one row's run; `folder` is empty at the start."""

    size: Size
    folder: Path

    def pick(self, *, full: int, quick: int, tiny: int) -> int:
        """Choose a row's constant by size."""
        return {"full": full, "quick": quick, "tiny": tiny}[self.size]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One hop. `shown` are the figures of the table, in their order; `limit_s` ends a row that hangs,
    `most_rounds` spares one whose rounds take minutes.

    `guards` are the targets of the quick run, which leaves peers out: ratios only, with room for noise.
    """

    name: str
    title: str
    unit: str
    method: str
    open: Callable[[Plan], AbstractContextManager[Sequence[Contender]]]
    targets: tuple[Target, ...]
    guards: tuple[Target, ...] = ()
    shown: tuple[str, ...] = ("rate", "cpu_us")
    limit_s: float = 300.0
    most_rounds: int | None = None
