"""The first bad minute of an incident: where its counts changed."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from signals.domain.detection.counts import MINUTES_READ

LONGEST_MINUTES: Final = 45  # guess: an older change would have fired before
SIGMAS: Final = 3.0  # a minute so far above usual belongs to the rise
MIN_RISE: Final = 2  # events; fewer in a minute are noise
RAMP_FACTOR: Final = 1.8  # guess: the later half fails so much more than the earlier half
MIN_RAMP_MINUTES: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Onset:
    """When it began. Minutes are since the epoch, `usual` is events a minute before."""

    minute: int
    usual: float
    is_ramp: bool


def rise(counts: Mapping[int, int], now: int) -> Onset:
    """Find where counts of failures rose: the change of a Poisson rate that explains them best."""
    minute, usual = _change(counts, now, sign=1)
    highest = usual + SIGMAS * math.sqrt(usual + 0.1)
    while now - minute < LONGEST_MINUTES and counts.get(minute - 1, 0) >= max(highest, MIN_RISE):
        minute -= 1
    length = now - minute + 1
    half = length // 2
    first = sum(counts.get(m, 0) for m in range(minute, minute + half)) / max(1, half)
    last = sum(counts.get(m, 0) for m in range(now - half + 1, now + 1)) / max(1, half)
    is_ramp = length >= MIN_RAMP_MINUTES and last >= RAMP_FACTOR * max(first, 0.5)
    return Onset(minute=minute, usual=usual, is_ramp=is_ramp)


def fall(counts: Mapping[int, int], now: int) -> Onset:
    """Find where counts of signups fell."""
    minute, usual = _change(counts, now, sign=-1)
    return Onset(minute=minute, usual=usual, is_ramp=False)


def _change(counts: Mapping[int, int], now: int, sign: int) -> tuple[int, float]:
    oldest = now - MINUTES_READ + 1
    total = sum(counts.get(minute, 0) for minute in range(oldest, now + 1))
    best, found, usual = -math.inf, now, 0.0
    after = 0
    for minute in range(now, now - LONGEST_MINUTES, -1):
        after += counts.get(minute, 0)
        length = now - minute + 1
        rate_after = after / length
        rate_before = (total - after) / (MINUTES_READ - length)
        if sign * (rate_after - rate_before) <= 0:
            continue
        gained = _poisson(after, length) + _poisson(total - after, MINUTES_READ - length)
        if gained > best:
            best, found, usual = gained, minute, rate_before
    return found, usual


def _poisson(count: int, minutes: int) -> float:
    return count * math.log(count / minutes) - count if count else 0.0
