"""Waiting on a condition with a deadline, never on time alone."""

import os
import time
from collections.abc import Callable
from typing import Final, TypeVar

Found = TypeVar("Found")

MOST_PATIENCE: Final = 4.0  # measured: a full run beside seven others, load 30 on two cores


def patience() -> float:
    """Return the factor for deadlines: runnable processes per core, between 1 and 4."""
    return min(MOST_PATIENCE, max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)))


def until(condition: Callable[[], Found], *, within_s: float = 60.0, every_s: float = 0.05) -> Found:
    """Call `condition` until it returns something true, and return that.

    Raises:
        TimeoutError: when it stays false for `within_s`, or on a busy machine for up to four times as long.
    """
    began = time.monotonic()
    while True:
        found = condition()
        if found:
            return found
        if (waited := time.monotonic() - began) > within_s and waited > within_s * patience():
            raise TimeoutError(f"still {found!r} after {waited:.0f} s")
        time.sleep(every_s)


def pause(seconds: float) -> None:
    """Sleep where the duration is the experiment (a fault that lasts), never to wait for a condition."""
    time.sleep(seconds)
