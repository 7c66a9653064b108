"""Draws counts from a seed, with the standard library alone."""

import math
import random
from collections.abc import Callable
from typing import Final

from benchmarks.detection.corpus import DAY

NORMAL_FROM: Final = 50.0  # mean from which a count is drawn as a rounded normal: exp() would be too small


def poisson(rng: random.Random, mean: float) -> int:
    """Draw by Knuth's multiplication, of large means by the normal law."""
    if mean >= NORMAL_FROM:
        return max(0, round(rng.gauss(mean, math.sqrt(mean))))
    limit, count, product = math.exp(-mean), 0, rng.random()
    while product > limit:
        count += 1
        product *= rng.random()
    return count


def drawn(seed: int | str, days: float, rate: Callable[[int], float]) -> list[int]:
    """Draw one count a minute; `rate` gives the mean at each minute since the start."""
    rng = random.Random(seed)
    return [poisson(rng, rate(minute)) for minute in range(int(days * DAY))]
