"""Draws the harder storms: partial ones hit some series of a cause, cascading ones spread over minutes.

Everything is drawn from the seed alone, with the standard library.
"""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from benchmarks.detection.corpus import DAY, Label, LabelledSeries
from benchmarks.detection.drawing import poisson

Kind = Literal["partial", "cascade", "both"]

START: Final = 29_541_600 // DAY * DAY  # a Monday, in minutes since the epoch
DAYS: Final = 8
STORMS: Final = 5  # a project
ROUTES: Final = ("/checkout", "/login", "/search", "/cart")
CODES: Final = ("TIMEOUT", "DB_DOWN", "BAD_TOKEN", "NULL_REF")
RATES: Final = (0.02, 0.1, 0.5, 2.0)  # events a minute of a series
PARTIAL: Final = 3  # of the four series of a cause that a partial storm hits
CASCADE_MINUTES: Final = 8  # over which a cascading storm reaches its series


@dataclass(slots=True)
class _Series:
    rates: list[float]
    labels: list[Label] = field(default_factory=list)


def draw(kind: Kind, seed: int) -> tuple[list[LabelledSeries], Mapping[str, Mapping[int, int]]]:
    """Return the labelled series of one project, and their counts by minute since the epoch."""
    rng = random.Random(f"{kind}-{seed}")
    project = f"{kind}-{seed}"
    series = {(code, route): _Series(_background(rng)) for code in CODES for route in ROUTES}
    for number in range(STORMS):
        _strike(rng, kind, series, DAY + number * DAY + rng.randrange(0, DAY // 2), f"storm-{number}")
    labelled, counts = [], {}
    for (code, route), one in series.items():
        name = f"{project}-{code.lower()}-{route[1:]}"
        labelled.append(
            LabelledSeries(
                series=name,
                part="storm",
                metric="error_count",
                start_minute=START,
                minutes=DAYS * DAY,
                outages=tuple(one.labels),
                project=project,
                fingerprint=f"{code}|{route}|prod",
            )
        )
        drawn = ((START + at, poisson(rng, rate)) for at, rate in enumerate(one.rates))
        counts[name] = {minute: count for minute, count in drawn if count}
    return labelled, counts


def _background(rng: random.Random) -> list[float]:
    base = rng.choice(RATES)
    return [base * (1 + 0.6 * math.sin(2 * math.pi * (at % DAY) / DAY)) for at in range(DAYS * DAY)]


def _strike(
    rng: random.Random, kind: Kind, series: Mapping[tuple[str, str], _Series], start: int, group: str
) -> None:
    by_route = rng.random() < 0.5
    value = rng.choice(ROUTES if by_route else CODES)
    hit = [key for key in series if key[by_route] == value]
    rng.shuffle(hit)
    if kind in ("partial", "both"):
        hit = hit[:PARTIAL]
    length = rng.randrange(40, 120)
    for number, key in enumerate(hit):
        step = CASCADE_MINUTES * number // max(1, len(hit) - 1)
        lag = step if kind in ("cascade", "both") else rng.randrange(0, 4)
        one = series[key]
        begin = start + lag
        level = max(rng.uniform(8, 25), one.rates[begin] * 8)
        for at in range(begin, begin + length):
            one.rates[at] += level
        one.labels.append(Label(kind=f"storm_{kind}", start=begin, end=begin + length, group=group))
